// The five stations of play.html.

const $ = selector => document.querySelector(selector)
const all = selector => [...document.querySelectorAll(selector)]
const FAULTS = {
  old: "This browser cannot unpack the networks: please use Chrome or Edge from 2020 on, Firefox or Safari from 2023 on.",
  cut: "The networks in this page are damaged or cut off: please download the page again.",
}
const QUESTIONS = {
  "2 digit": ["the digit of A", "the digit of B", "a mixture"],
  "2 background": ["the background of A", "the background of B", "a mixture"],
  "3 network": ["in balanced", "in paper", "in both", "in neither"],
  "4 zero": ["above most normal images", "among them", "below most of them"],
}
const Z_S = "<i>z<sub>s</sub></i>", Z_R = "<i>z<sub>r</sub></i>"
const INK_SIDE = 28, PEN = 2.4, FITS = 20  // MNIST: strokes of 2 to 3 pixels; a digit fits 20 x 20 of 28 x 28

const FIRST = "balanced"  // the network of stations 1, 2 and 5

let about, networks, chosen = FIRST  // of station 4
const images = {}  // by station: what is shown, 3 x 32 x 32 pixels
const answers = {}
const kept = []

// Images

function colourise(ink, colour) {
  const image = new Uint8ClampedArray(3 * 1024), rgb = Object.values(about.colours)[colour]
  for (let c = 0; c < 3; c++) for (let p = 0; p < 1024; p++) image[c * 1024 + p] = ink[p] ? 0 : rgb[c]
  return image
}

function unpackedInk(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0))
  return Uint8Array.from({ length: 1024 }, (_, p) => (bytes[p >> 3] >> (7 - (p & 7))) & 1)
}

// The median pixel's nearest colour, as measure/colours.py reads it.
function background(image) {
  const median = [0, 1, 2].map(c => [...image.subarray(c * 1024, (c + 1) * 1024)].sort((a, b) => a - b)[511])
  const distances = Object.values(about.colours).map(rgb => rgb.reduce((sum, v, c) => sum + (v - median[c]) ** 2, 0))
  return distances.indexOf(Math.min(...distances))
}

function paint(canvas, image, left = 0, top = 0) {
  const pixels = new ImageData(32, 32)
  for (let p = 0; p < 1024; p++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * p + c] = image[c * 1024 + p]
    pixels.data[4 * p + 3] = 255
  }
  canvas.getContext("2d").putImageData(pixels, left, top)
}

function sized(canvas, width, height) {
  canvas.width = width
  canvas.height = height
  return canvas
}

function tile(id, image, caption) {
  const figure = $(id), canvas = figure.querySelector("canvas") || figure.appendChild(sized(document.createElement("canvas"), 32, 32))
  const text = figure.querySelector("figcaption") || figure.appendChild(document.createElement("figcaption"))
  canvas.setAttribute("role", "img")
  canvas.setAttribute("aria-label", caption.replace(/<.+?>/g, ""))
  paint(canvas, image)
  text.innerHTML = caption
}

// What a drawing becomes: scaled to fit, its centre of mass in the middle, 28 x 28, then 32 x 32, thresholded.
function inkOf(strokes) {
  const points = strokes.flat(), xs = points.map(p => p[0]), ys = points.map(p => p[1])
  const low = [Math.min(...xs), Math.min(...ys)], high = [Math.max(...xs), Math.max(...ys)]
  const scale = 10 * (FITS - PEN) / Math.max(high[0] - low[0], high[1] - low[1], 1)
  const draw = (dx, dy) => {  // ten times as large, averaged over 10 x 10 pixels
    const pen = sized(document.createElement("canvas"), 10 * INK_SIDE, 10 * INK_SIDE).getContext("2d", { willReadFrequently: true })
    pen.lineWidth = 10 * PEN
    pen.lineCap = pen.lineJoin = "round"
    for (const stroke of strokes) {
      pen.beginPath()
      for (const [x, y] of [stroke[0], ...stroke]) pen.lineTo((x - (low[0] + high[0]) / 2) * scale + 140 + dx, (y - (low[1] + high[1]) / 2) * scale + 140 + dy)
      pen.stroke()
    }
    const alpha = pen.getImageData(0, 0, 280, 280).data, small = new Float32Array(INK_SIDE ** 2)
    for (let y = 0; y < 280; y++) for (let x = 0; x < 280; x++) small[Math.floor(y / 10) * INK_SIDE + Math.floor(x / 10)] += alpha[4 * (280 * y + x) + 3] / 100
    return small
  }
  const first = draw(0, 0), mass = first.reduce((a, b) => a + b), centre = [0, 0]
  first.forEach((value, i) => { centre[0] += value * (i % INK_SIDE) / mass; centre[1] += value * Math.floor(i / INK_SIDE) / mass })
  const small = draw(10 * (13.5 - centre[0]), 10 * (13.5 - centre[1]))
  return Uint8Array.from({ length: 1024 }, (_, p) => {  // bilinear, pixel centres aligned
    const at = v => Math.min(Math.max((v + 0.5) * INK_SIDE / 32 - 0.5, 0), INK_SIDE - 1)
    const x = at(p % 32), y = at(Math.floor(p / 32)), x0 = Math.floor(x), y0 = Math.floor(y)
    const x1 = Math.min(x0 + 1, INK_SIDE - 1), y1 = Math.min(y0 + 1, INK_SIDE - 1), fx = x - x0, fy = y - y0
    const top = small[y0 * INK_SIDE + x0] * (1 - fx) + small[y0 * INK_SIDE + x1] * fx
    const bottom = small[y1 * INK_SIDE + x0] * (1 - fx) + small[y1 * INK_SIDE + x1] * fx
    return top * (1 - fy) + bottom * fy >= 128 ? 1 : 0
  })
}

// What the networks make of an image

function seen(image, name = FIRST) {
  const network = networks[name], x = [toInput(image)]
  const z_s = network.encode("E_s", x), z_r = network.encode("E_r", x), p = softmax(network.classify(z_s[0]))
  return { z_s: z_s[0], z_r: z_r[0], p, s: 1 - Math.max(...p), x_hat: toImage(network.decode(z_s, z_r)[0]) }
}

function hybrids(name, tops, lefts) {
  const network = networks[name], inputs = list => list.map(toInput)
  const z_s = network.encode("E_s", inputs(tops)), z_r = network.encode("E_r", inputs(lefts))
  return z_r.map(r => network.decode(z_s, z_s.map(() => r)).map(toImage))
}

// Pictures as SVG

function bars(id, values, labels) {
  const limit = labels ? 1 : Math.max(...values.map(Math.abs)), width = 600 / values.length, middle = labels ? 100 : 50
  const shapes = Array.from(values, (v, i) => {
    const height = Math.abs(v) / limit * middle, x = i * width + (labels ? 6 : 0.5), up = v >= 0
    const rect = `<rect x="${x}" y="${up ? middle - height : middle}" width="${width - (labels ? 12 : 1)}" height="${height}" fill="${up ? "#0173b2" : "#de8f05"}"/>`
    const text = labels ? `<text x="${(i + 0.5) * width}" y="118" text-anchor="middle">${labels[i]}</text>` : ""
    return rect + text
  })
  const words = labels ? labels.map((l, i) => `${l}: ${percent(values[i])}`).join(", ") : `${values.length} numbers`
  $(id).innerHTML = `<svg viewBox="0 0 600 ${labels ? 122 : 100}" role="img" aria-label="${words}"><line x2="600" y1="${middle}" y2="${middle}" stroke="#888"/>${shapes.join("")}</svg>`
}

const percent = share => `${Math.round(100 * share)} %`

function above(counts, threshold) {
  const first = Math.round(threshold / 0.9 * counts.length), sum = list => list.reduce((a, b) => a + b, 0)
  return sum(counts.slice(first)) / sum(counts)
}

function steps(counts, height) {  // a histogram of 45 bins as a path
  const wide = counts.length / 45, bins = Array.from({ length: 45 }, (_, i) => counts.slice(i * wide, (i + 1) * wide).reduce((a, b) => a + b))
  const most = Math.max(...bins)
  return `M0 ${height}` + bins.map((n, i) => `V${height - n / most * (height - 8)}H${(i + 1) / 45 * 600}`).join("") + `V${height}Z`
}

function drawScores(s) {
  const { normal, anomalous } = about.networks[chosen].histograms, threshold = +$("#threshold").value, x = v => v / 0.9 * 600
  $("#four-histogram").innerHTML = `<svg viewBox="0 0 600 158" role="img" aria-label="Histograms of the scores of normal digits and of zeros">
    <rect x="${x(threshold)}" width="${600 - x(threshold)}" height="130" fill="#a61b1b" opacity="0.09"/>
    <path d="${steps(normal, 130)}" fill="#0173b2" opacity="0.55"/><path d="${steps(anomalous, 130)}" fill="none" stroke="#000" stroke-width="2"/>
    <line x1="${x(threshold)}" x2="${x(threshold)}" y2="130" stroke="#a61b1b" stroke-width="3"/>
    <path d="M${x(s)} 130l-8 16h16z" fill="#b45f06"/><text x="${Math.min(x(s) + 12, 480)}" y="146">this image: ${s.toFixed(2)}</text>
    </svg>`
  const alarms = above(normal, threshold), found = above(anomalous, threshold)
  $("#four-rates").textContent = `Above ${threshold.toFixed(2)}: ${percent(alarms)} of the normal images (false alarms), ${percent(found)} of the zeros (detected).`
  const curve = Array.from({ length: 91 }, (_, i) => [above(normal, i / 100), above(anomalous, i / 100)])
  $("#four-roc").innerHTML = `<svg viewBox="-30 -8 250 240" role="img" aria-label="ROC curve"><rect width="200" height="200" fill="none" stroke="#888"/>
    <line y1="200" x2="200" stroke="#888" stroke-dasharray="4"/><polyline fill="none" stroke="#0173b2" stroke-width="3" points="${curve.map(([a, d]) => `${200 * a},${200 - 200 * d}`).join(" ")}"/>
    <circle cx="${200 * alarms}" cy="${200 - 200 * found}" r="7" fill="#a61b1b"/><text x="100" y="218" text-anchor="middle">false alarms</text>
    <text transform="translate(-10 100) rotate(-90)" text-anchor="middle">detected</text><text x="70" y="150">AUC ${about.networks[chosen].auc.toFixed(2)}</text></svg>`
}

// The stations

const digits = () => Array.from({ length: 10 }, (_, d) => d).filter(d => d != about.held_out)

function verdict(id, { p, s }) {
  const digit = digits()[p.indexOf(Math.max(...p))], flagged = s > +$("#threshold").value
  $(id).textContent = `C says ${digit}. s = ${s.toFixed(2)}: ${flagged ? "an anomaly" : "normal"}, at the threshold ${(+$("#threshold").value).toFixed(2)}.`
  return flagged
}

function centred(z, key) {
  return z.map((v, i) => v - about.networks[FIRST].mean[key][i])
}

const SHOW = {
  one(image) {
    const found = seen(image)
    tile("#one-x", image, "<i>x</i>, the image")
    tile("#one-x-hat", found.x_hat, "<i>x̂</i>, rebuilt from both")
    for (const key of ["z_s", "z_r"]) bars(`#one-${key}`, centred(found[key], key))
  },
  a: () => showSwap(),
  b: () => showSwap(),
  four(image) {
    const found = seen(image, chosen)
    bars("#four-bars", found.p, digits())
    verdict("#four-verdict", found)
    drawScores(found.s)
  },
  five(image) {
    const found = seen(image)
    tile("#five-x", image, "your drawing")
    tile("#five-x-hat", found.x_hat, "rebuilt")
    bars("#five-bars", found.p, digits())
    verdict("#five-verdict", found)
  },
}

function showSwap() {
  if (!images.a || !images.b || $("#station-2 .result").hidden) return
  const grid = hybrids(FIRST, [images.a, images.b], [images.a, images.b])
  tile("#swap-a", images.a, "A")
  tile("#swap-b", images.b, "B")
  tile("#swap-ab", grid[1][0], `${Z_S} of A, ${Z_R} of B`)
  tile("#swap-ba", grid[0][1], `${Z_S} of B, ${Z_R} of A`)
  showWay()
  drawGrid($("#swap-grid"), FIRST, columnsAndRows(0))
}

function showWay() {
  const network = networks[FIRST], x = [images.a, images.b].map(toInput), way = +$("#way").value
  const z_s = network.encode("E_s", x), z_r = network.encode("E_r", x)
  const between = z_r[0].map((v, i) => v + way * (z_r[1][i] - v))
  tile("#swap-way", toImage(network.decode([z_s[0]], [between])[0]), `${percent(way)} of the way to B`)
}

// Six images for the columns and six for the rows of a grid, all of the columns and of the rows in other colours.
function columnsAndRows(turn) {
  const each = about.images.length / 10, at = (digit, i) => about.images[digit * each + i % each]
  return [[1, 2, 3, 4, 6, 8].map(d => at(d, turn + 3)), [7, 5, 9, 3, 1, 2].map(d => at(d, turn))]
}

// Draws a grid of hybrids; returns it with the shares that keep the digit of the column and the background of the row.
function drawGrid(canvas, name, [tops, lefts]) {
  const grid = hybrids(name, tops.map(t => t.image), lefts.map(l => l.image)), step = 34
  sized(canvas, 7 * step, 7 * step).setAttribute("role", "img")
  canvas.setAttribute("aria-label", `Hybrids of ${name}`)
  tops.forEach((t, j) => paint(canvas, t.image, (j + 1) * step, 0))
  lefts.forEach((l, i) => paint(canvas, l.image, 0, (i + 1) * step))
  const cells = grid.flatMap((row, i) => row.map((image, j) => ({ image, i, j })))
  for (const { image, i, j } of cells) paint(canvas, image, (j + 1) * step, (i + 1) * step)
  const z_s = networks[name].encode("E_s", cells.map(cell => toInput(cell.image)))
  const digit = cells.filter(({ j }, k) => { const p = softmax(networks[name].classify(z_s[k])); return digits()[p.indexOf(Math.max(...p))] == tops[j].digit })
  return { digit: digit.length, background: cells.filter(({ image, i }) => background(image) == lefts[i].colour).length, of: cells.length }
}

let turn = 0
function showNetworks() {
  for (const name of ["balanced", "paper"]) {
    const { digit, background, of } = drawGrid($(`#grid-${name}`), name, columnsAndRows(turn))
    $(`#count-${name}`).innerHTML = `${name}: ${background} of ${of} have the background of the row. <i>C</i> reads the digit of the column in ${digit} of ${of}.`
  }
}

const RESULTS = { "station-2": showSwap, "station-3": showNetworks, "station-4": () => SHOW.four(images.four) }

// Controls

function fillStrip(fieldset) {
  const key = fieldset.dataset.strip, each = about.images.length / 10
  for (let digit = 0; digit < 10; digit++) {
    const own = about.images[digit * each + (key == "b" ? 3 : 0)], label = document.createElement("label"), input = document.createElement("input")
    Object.assign(input, { type: "radio", name: key, value: digit })
    input.setAttribute("aria-label", `${digit} on ${Object.keys(about.colours)[own.colour]}`)
    const canvas = sized(document.createElement("canvas"), 32, 32)
    paint(canvas, own.image)
    label.append(input, canvas)
    fieldset.append(label)
    input.addEventListener("change", () => { images[key] = own.image; SHOW[key](own.image) })
    if (digit == { one: 7, a: 3, b: 7, four: 0 }[key]) { input.checked = true; images[key] = own.image }
  }
}

function fillPad(place) {
  const key = place.dataset.pad, size = 260, strokes = []
  const canvas = place.appendChild(sized(document.createElement("canvas"), size, size)), pen = canvas.getContext("2d")
  canvas.setAttribute("aria-label", "A place to draw with a mouse or a finger")
  const colour = document.createElement("select"), clear = document.createElement("button"), said = document.createElement("p")
  colour.setAttribute("aria-label", "Background")
  colour.append(...Object.keys(about.colours).map((name, i) => new Option(name, i)))
  colour.value = 3
  clear.textContent = "Clear"
  said.setAttribute("aria-live", "polite")
  place.append(colour, " ", clear, said)
  pen.lineWidth = 18
  pen.lineCap = pen.lineJoin = "round"
  const show = () => {
    said.textContent = strokes.length ? "" : "Nothing is drawn yet."
    if (!strokes.length) return
    images[key] = colourise(inkOf(strokes), +colour.value)
    all(`[data-strip=${key}] input`).forEach(input => { input.checked = false })
    SHOW[key](images[key])
  }
  let down = false
  const at = event => { const box = canvas.getBoundingClientRect(); return [(event.clientX - box.left) / box.width * size, (event.clientY - box.top) / box.height * size] }
  canvas.addEventListener("pointerdown", event => { down = true; canvas.setPointerCapture(event.pointerId); strokes.push([at(event)]); event.preventDefault() })
  canvas.addEventListener("pointermove", event => {
    if (!down) return
    const stroke = strokes.at(-1), point = at(event)
    pen.beginPath()
    pen.moveTo(...stroke.at(-1))
    pen.lineTo(...point)
    pen.stroke()
    stroke.push(point)
  })
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { if (down) { down = false; show() } })
  clear.addEventListener("click", () => { strokes.length = 0; pen.clearRect(0, 0, size, size); if (key == "five") delete images.five; show() })
  colour.addEventListener("change", show)
}

function fillQuestion(fieldset) {
  const question = fieldset.dataset.question, station = fieldset.closest("section")
  for (const option of QUESTIONS[question]) {
    const label = document.createElement("label"), input = document.createElement("input")
    Object.assign(input, { type: "radio", name: question, value: option })
    label.append(input, option)
    fieldset.append(label)
    input.addEventListener("change", () => {
      answers[question] = option
      const open = [...station.querySelectorAll(".predict")].filter(f => !(f.dataset.question in answers))
      if (open.length) return
      station.querySelectorAll(".predict input").forEach(i => { i.disabled = true })  // a prediction stays
      station.querySelector(".result").hidden = false
      RESULTS[station.id]()
    })
  }
}

function go(number) {
  all("section").forEach(section => { section.hidden = section.id != `station-${number}` })
  all("nav button").forEach(button => button.setAttribute("aria-current", button.dataset.to == number))
  if (number == 5 && images.five) SHOW.five(images.five)
  if (number == 6) writeAnswers()
}

// The answers as CSV, in the form that `python -m ygan_study.teach gather` reads.
function writeAnswers() {
  const name = $("#name").value.trim(), quoted = text => `"${String(text).replaceAll('"', '""')}"`
  const given = { ...answers, learned: $("#learned").value.trim() }
  const rows = Object.entries(given).filter(([, text]) => text).map(([question, text]) => [name, "play", question, text].map(quoted).join(","))
  $("#answers").value = ["student,exercise,question,answer", ...rows].join("\n") + "\n"
}

function save(name, url) {
  const link = Object.assign(document.createElement("a"), { href: url, download: name })
  link.click()
}

function keep() {
  if (!images.five) { $("#kept-verdict").textContent = "Nothing is drawn yet."; return }
  const meant = $("#meant").value, flagged = verdict("#five-verdict", seen(images.five)), broken = (meant == "no digit") != flagged
  const outcome = flagged ? "is called an anomaly" : "passes as normal"
  const though = `though it is ${meant} from 1 to 9`
  $("#kept-verdict").textContent = broken ? `You broke it: the drawing ${outcome}, ${though}.` : `Not broken: the drawing ${outcome}, as it should.`
  if (!broken) return
  kept.push(images.five)
  answers[`5 ${meant}`] = `${outcome} (${kept.length} kept)`
  paint($("#kept").appendChild(sized(document.createElement("canvas"), 32, 32)), images.five)
}

function download() {
  if (!images.five) { $("#kept-verdict").textContent = "Nothing is drawn yet."; return }
  const sheet = sized(document.createElement("canvas"), 680, 400), pen = sheet.getContext("2d"), found = seen(images.five)
  pen.fillStyle = "#fff"
  pen.fillRect(0, 0, 680, 400)
  pen.imageSmoothingEnabled = false
  ;[images.five, found.x_hat].forEach((image, i) => {
    const small = sized(document.createElement("canvas"), 32, 32)
    paint(small, image)
    pen.drawImage(small, 20 + 330 * i, 20, 310, 310)
  })
  pen.fillStyle = "#000"
  pen.font = "18px system-ui, sans-serif"
  pen.fillText(`${$("#five-verdict").textContent} (Y-GAN, ${FIRST})`, 20, 370)
  save("y-gan.png", sheet.toDataURL("image/png"))
}

async function start() {
  const fail = text => { $("#problem").textContent = text; $("#problem").hidden = false; $("#waiting").hidden = true }
  if (!window.DecompressionStream) return fail(FAULTS.old)
  try {
    about = JSON.parse($("#about").textContent)
    networks = await loadNetworks($("#weights").textContent, about)
  } catch (error) {
    return fail(FAULTS.cut)
  }
  for (const own of about.images) own.image = colourise(unpackedInk(own.ink), own.colour)
  const { normal } = about.networks[FIRST].histograms, total = normal.reduce((a, b) => a + b)
  let passed = 0  // the threshold that 5 % of the normal images are above, to begin with
  $("#threshold").value = normal.findIndex(n => (passed += n) > 0.95 * total) / normal.length * 0.9
  all("[data-strip]").forEach(fillStrip)
  all("[data-pad]").forEach(fillPad)
  all(".predict").forEach(fillQuestion)
  all("nav button").forEach(button => button.addEventListener("click", () => go(button.dataset.to)))
  all("[data-network]").forEach(button => button.addEventListener("click", () => {
    chosen = button.dataset.network
    all("[data-network]").forEach(b => b.setAttribute("aria-pressed", b == button))
    SHOW.four(images.four)
  }))
  $("[data-network=balanced]").setAttribute("aria-pressed", true)
  $("#way").addEventListener("input", showWay)
  $("#threshold").addEventListener("input", () => SHOW.four(images.four))
  $("#others").addEventListener("click", () => { turn += 1; showNetworks() })
  $("#keep").addEventListener("click", keep)
  $("#download").addEventListener("click", download)
  for (const id of ["#name", "#learned"]) $(id).addEventListener("input", writeAnswers)
  $("#save").addEventListener("click", () => save(`${$("#name").value.trim().replace(/[^\w-]+/g, "_") || "answers"}.csv`, `data:text/csv;charset=utf-8,${encodeURIComponent($("#answers").value)}`))
  $("#copy").addEventListener("click", async () => {
    $("#answers").select()
    try { await navigator.clipboard.writeText($("#answers").value) } catch { document.execCommand("copy") }
    $("#copied").textContent = "Copied."
  })
  addEventListener("keydown", event => { if (/^[1-6]$/.test(event.key) && !/INPUT|TEXTAREA|SELECT/.test(event.target.tagName)) go(event.key) })
  $("#waiting").hidden = true
  $("main").hidden = false
  go(1)
  SHOW.one(images.one)
}

document.addEventListener("DOMContentLoaded", start)
