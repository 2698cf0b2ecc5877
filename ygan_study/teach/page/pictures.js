// Images and how they are painted; bars, histograms and the ROC curve as SVG.

const $ = selector => document.querySelector(selector)
const all = selector => [...document.querySelectorAll(selector)]

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}

const makeCanvas = (width, height) => make("canvas", { width, height })

// An image is {ink, colour, digit, pixels}: ink, whether each of 32 x 32 pixels is black; colour,
// the number of its background; pixels, three planes of bytes. digit is missing if it was drawn.
function onBackground(image, colour) {
  const pixels = new Uint8ClampedArray(3 * 1024), rgb = Object.values(about.colours)[colour]
  for (let c = 0; c < 3; c++) {
    for (let p = 0; p < 1024; p++) pixels[c * 1024 + p] = image.ink[p] ? 0 : rgb[c]
  }
  return { ...image, colour, pixels }
}

function unpackedInk(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0))
  return Uint8Array.from({ length: 1024 }, (_, p) => (bytes[p >> 3] >> (7 - (p & 7))) & 1)
}

const colourName = colour => Object.keys(about.colours)[colour]

// The number of the background: the colour nearest to the median pixel, as measure/colours.py.
function background(pixels) {
  const median = [0, 1, 2].map(c => pixels.slice(c * 1024, (c + 1) * 1024).sort()[511])
  const distances = Object.values(about.colours).map(rgb =>
    rgb.reduce((sum, value, c) => sum + (value - median[c]) ** 2, 0))
  return distances.indexOf(Math.min(...distances))
}

function paint(canvas, pixels, left = 0, top = 0) {
  const data = new ImageData(32, 32)
  for (let p = 0; p < 1024; p++) {
    for (let c = 0; c < 3; c++) data.data[4 * p + c] = pixels[c * 1024 + p]
    data.data[4 * p + 3] = 255
  }
  canvas.getContext("2d").putImageData(data, left, top)
  return canvas
}

function showTile(id, pixels, caption) {
  const canvas = paint(makeCanvas(32, 32), pixels)
  const text = make("figcaption", { innerHTML: caption })
  canvas.setAttribute("role", "img")
  canvas.setAttribute("aria-label", text.textContent)
  $(id).replaceChildren(canvas, text)
}

const percent = share => `${Math.round(100 * share)} %`

// A line of steps through heights, each `width` wide.
const steps = (heights, width) => heights.map((y, i) => `V${y}H${(i + 1) * width}`).join("")

function showSvg(id, box, label, shapes) {
  $(id).innerHTML = `<svg viewBox="${box}" role="img" aria-label="${label}">${shapes}</svg>`
}

// Numbers above and below an axis; `before` are those of another image, as a line.
function showLatent(id, z, before = []) {
  const limit = Math.max(...[...z, ...before].map(Math.abs)), width = 600 / z.length
  const y = value => 60 - value / limit * 58
  const bars = Array.from(z, (value, i) => `<rect x="${i * width + 0.5}" width="${width - 1}"
    y="${Math.min(y(value), 60)}" height="${Math.abs(y(value) - 60)}"
    fill="${value < 0 ? "#de8f05" : "#0173b2"}"/>`).join("")
  const line = before.length ? `<path d="M0 60${steps([...before].map(y), width)}" fill="none"
    stroke="#000" stroke-width="1.2"/>` : ""
  showSvg(id, "0 0 600 120", `${z.length} numbers`,
    `<line x2="600" y1="60" y2="60" stroke="#888"/>${bars}${line}`)
}

function showProbabilities(id, p, names) {
  const width = 600 / p.length
  const bars = p.map((share, i) => `<rect x="${i * width + 8}" width="${width - 16}"
    y="${125 - share * 100}" height="${share * 100}" fill="#0173b2"/>
    <text x="${(i + 0.5) * width}" y="148" text-anchor="middle">${names[i]}</text>` +
    (share >= 0.05 ? `<text x="${(i + 0.5) * width}" y="${120 - share * 100}"
      text-anchor="middle">${percent(share)}</text>` : "")).join("")
  const label = names.map((name, i) => `${name}: ${percent(p[i])}`).join(", ")
  showSvg(id, "0 0 600 152", label, `<line x2="600" y1="125" y2="125" stroke="#888"/>${bars}`)
}

// The share of test images whose score is above a threshold, of a histogram over [0, highest].
function shareAbove(counts, threshold) {
  const sum = list => list.reduce((a, b) => a + b, 0)
  return sum(counts.slice(Math.round(threshold / about.highest * counts.length))) / sum(counts)
}

function showHistogram(id, { normal, anomalous }, threshold, s) {
  const x = score => score / about.highest * 600
  const paired = counts => counts.flatMap((n, i) => (i % 2 ? [n + counts[i - 1]] : []))  // smoother
  const most = Math.max(...paired(normal), ...paired(anomalous))
  const path = counts => {
    const heights = paired(counts).map(n => 160 - n / most * 130)
    return `M0 160${steps(heights, 600 / heights.length)}V160Z`
  }
  const ticks = [[0, "start"], [0.3, "middle"], [0.6, "middle"], [0.9, "end"]].map(
    ([tick, anchor]) => `<text x="${x(tick)}" y="206" text-anchor="${anchor}">${tick}</text>`)
  const end = x(s) > 330 ? ["end", -12] : ["start", 12]
  showSvg(id, "0 0 600 212", "Histograms of the scores of normal digits and of zeros", `
    ${ticks.join("")}<text x="300" y="206" text-anchor="middle">score s</text>
    <rect x="${x(threshold)}" width="${600 - x(threshold)}" height="160" fill="#a61b1b"
      opacity="0.09"/>
    <path d="${path(normal)}" fill="#0173b2" opacity="0.55"/>
    <path d="${path(anomalous)}" fill="none" stroke="#000" stroke-width="2"/>
    <text x="4" y="20" fill="#01476b">normal digits (filled)</text>
    <text x="596" y="20" text-anchor="end">zeros (line)</text>
    <line x1="${x(threshold)}" x2="${x(threshold)}" y2="160" stroke="#a61b1b" stroke-width="4"/>
    <path d="M${x(s)} 161l-9 18h18z" fill="#b45f06"/>
    <text x="${x(s) + end[1]}" y="182" text-anchor="${end[0]}">this image: ${s.toFixed(2)}</text>`)
}

function showRoc(id, { normal, anomalous }, threshold, auc) {
  const point = t => [200 * shareAbove(normal, t), 200 - 200 * shareAbove(anomalous, t)]
  const line = Array.from({ length: 91 }, (_, i) => point(i / 100).join()).join(" ")
  const [x, y] = point(threshold)
  showSvg(id, "-26 -8 236 236", `ROC curve, AUC ${auc.toFixed(2)}`, `
    <rect width="200" height="200" fill="none" stroke="#888"/>
    <line y1="200" x2="200" stroke="#888" stroke-dasharray="4"/>
    <polyline points="${line}" fill="none" stroke="#0173b2" stroke-width="3"/>
    <circle cx="${x}" cy="${y}" r="8" fill="#a61b1b"/>
    <text x="100" y="220" text-anchor="middle">false alarms</text>
    <text transform="translate(-8 100) rotate(-90)" text-anchor="middle">detected</text>
    <text x="95" y="165">AUC ${auc.toFixed(2)}</text>`)
}
