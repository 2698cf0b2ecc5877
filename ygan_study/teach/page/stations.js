// The five stations: what each shows of the images that were chosen.

const MAIN = "balanced"  // the network of stations 1, 2 and 5

let about, networks, pad
let station
let chosen = MAIN  // the network of station 4
let turn = 0  // of the images of station 3
let mine  // the drawing, as an image
const picked = {}  // images, by strip
const answers = {}

// What the networks make of images

function look({ pixels }, name = MAIN) {
  const network = networks[name]
  const z_s = network.encode("E_s", pixels), z_r = network.encode("E_r", pixels)
  const p = softmax(network.classify(z_s))
  return { z_s, z_r, p, s: 1 - Math.max(...p), x_hat: toPixels(network.decode(z_s, z_r)) }
}

const digits = () => [...Array(10).keys()].filter(digit => digit != about.held_out)
const mostLikely = p => digits()[p.indexOf(Math.max(...p))]  // p, or its logits
const read = (pixels, name) =>
  mostLikely(networks[name].classify(networks[name].encode("E_s", pixels)))

// Pixels of all hybrids: a row for each image that gives z_r, a column for each that gives z_s.
function hybrids(name, tops, lefts) {
  const latents = (encoder, images) =>
    images.map(image => networks[name].encode(encoder, image.pixels))
  const z_s = latents("E_s", tops), z_r = latents("E_r", lefts)
  return z_r.map(r => z_s.map(s => toPixels(networks[name].decode(s, r))))
}

// Six images for the columns of a grid and six for its rows, in different colours.
function columnsAndRows(turn) {
  const each = about.images.length / 10
  const take = (digits, colour) => digits.map(d => about.images[d * each + (turn + colour) % each])
  return [take([1, 2, 3, 4, 6, 8], 3), take([7, 5, 9, 3, 1, 2], 0)]
}

function showGrid(id, tops, lefts, grid) {
  const step = 34, canvas = Object.assign($(id), { width: 7 * step, height: 7 * step })
  canvas.setAttribute("role", "img")
  canvas.setAttribute("aria-label", "A grid of hybrids")
  tops.forEach((top, j) => paint(canvas, top.pixels, (j + 1) * step, 0))
  lefts.forEach((left, i) => paint(canvas, left.pixels, 0, (i + 1) * step))
  grid.forEach((row, i) => row.forEach((pixels, j) => {
    paint(canvas, pixels, (j + 1) * step, (i + 1) * step)
  }))
}

// The stations

const math = text => text.replace(/\bz_([sr])/g, "<i>z<sub>$1</sub></i>")
const answered = name => !$(`#${name} .predict`)

function outcome(question, text) {
  $(`[data-outcome="${question}"]`).innerHTML = math(`You predicted: ${answers[question]}. ${text}`)
}

const compared = {}  // of station 1: the image, its latents, and those of the image before
function showCodes() {
  const image = picked.codes, found = look(image), { mean } = about.networks[MAIN]
  showTile("#codes-x", image.pixels, "<i>x</i>, the image")
  showTile("#codes-x-hat", found.x_hat, "<i>x̂</i>, rebuilt from both")
  const z = ["z_s", "z_r"].map(key => found[key].map((value, i) => value - mean[key][i]))
  if (compared.image != image) Object.assign(compared, { image, before: compared.z, z })
  const before = answered("codes") && compared.before
  return ["z_s", "z_r"].map((key, n) => {
    const between = before && z[n].map((value, i) => value - before[n][i])
    const change = before && percent(Math.hypot(...between) / Math.hypot(...before[n]))
    showLatent(`#codes-${key}`, z[n], before ? before[n] : [])
    const text = before ? `, changed by ${change}` : ""
    $(`#change-${key}`).innerHTML = math(`${key}: 100 numbers${text}`)
    return change
  })
}

function changeBackground() {
  const old = picked.codes, colour = (old.colour + 3) % 10
  picked.codes = onBackground(old, colour)
  pad.recolour(colour)
  const [change_s, change_r] = showCodes()
  outcome("1 code", `From ${colourName(old.colour)} to ${colourName(colour)}, z_s changed by
    ${change_s}, z_r by ${change_r}. Now choose another digit: the background stays.`)
}

function owners(value, a, b) {
  return [a == value && "A", b == value && "B"].filter(Boolean).join(" and ")
}

function showSwap() {
  if (!answered("swap")) return
  const pair = [picked.a, picked.b], start = performance.now()
  const grid = hybrids(MAIN, pair, pair), time = performance.now() - start
  const [a, b, ab, ba] = [picked.a.pixels, picked.b.pixels, grid[1][0], grid[0][1]].map(pixels => (
    { pixels, digit: read(pixels, MAIN), colour: background(pixels) }))
  const says = image => `<i>C</i> reads ${image.digit}, on ${colourName(image.colour)}`
  showTile("#swap-a", a.pixels, `A: ${says(a)}`)
  showTile("#swap-b", b.pixels, `B: ${says(b)}`)
  showTile("#swap-ab", ab.pixels, math(`z_s of A, z_r of B: ${says(ab)}`))
  showTile("#swap-ba", ba.pixels, math(`z_s of B, z_r of A: ${says(ba)}`))
  const reads = owners(ab.digit, a.digit, b.digit)
  outcome("2 digit", `C reads ${ab.digit}, ${reads ? `as in ${reads}` : "unlike in A or in B"}.`)
  const has = owners(ab.colour, a.colour, b.colour)
  outcome("2 background",
    `It is ${colourName(ab.colour)}, ${has ? `that of ${has}` : "neither that of A nor that of B"}.`)
  $("#swap-time").textContent = `One swap took ${time.toFixed(0)} ms in this browser.`
  const [tops, lefts] = columnsAndRows(0)
  const own = [[picked.a, ...tops.slice(1)], [picked.b, ...lefts.slice(1)]]
  showGrid("#swap-grid", ...own, hybrids(MAIN, ...own))
  showWay()
}

function showWay() {
  const network = networks[MAIN], way = +$("#way").value
  const [a, b] = [picked.a, picked.b].map(image => network.encode("E_r", image.pixels))
  const z_r = a.map((value, i) => value + way * (b[i] - value))
  const hybrid = network.decode(network.encode("E_s", picked.a.pixels), z_r)
  showTile("#swap-way", toPixels(hybrid), `${percent(way)} of the way`)
}

function showNetworks() {
  if (!answered("networks")) return
  const [tops, lefts] = columnsAndRows(turn)
  const [balanced, paper] = ["balanced", "paper"].map(name => {
    const grid = hybrids(name, tops, lefts)
    showGrid(`#grid-${name}`, tops, lefts, grid)
    let kept = 0, followed = 0, different = 0
    grid.forEach((row, i) => row.forEach((pixels, j) => {
      const differ = tops[j].colour != lefts[i].colour
      kept += read(pixels, name) == tops[j].digit
      different += differ
      followed += differ && background(pixels) == lefts[i].colour
    }))
    const counted = `${followed} of ${different}`
    $(`#count-${name}`).innerHTML = `${name}: where row and column have different backgrounds,
      ${counted} have that of the row; <i>C</i> reads the digit of the column in ${kept} of 36.`
    return counted
  })
  outcome("3 network", `The background comes from z_r in ${balanced} with balanced, in ${paper}
    with paper.`)
}

function verdict(id, { p, s }, threshold) {
  const flagged = s > threshold
  $(id).textContent = `C reads ${mostLikely(p)}. s = ${s.toFixed(2)} is ` +
    `${flagged ? "above" : "not above"} the threshold of ${threshold.toFixed(2)}: ` +
    `${flagged ? "an anomaly" : "normal"}.`
  return flagged
}

function showNormal() {
  if (!answered("normal")) return
  const { histograms, auc } = about.networks[chosen], threshold = +$("#threshold").value
  const found = look(picked.normal, chosen)
  showProbabilities("#normal-bars", found.p, digits())
  verdict("#normal-verdict", found, threshold)
  showHistogram("#histogram", histograms, threshold, found.s)
  showRoc("#roc", histograms, threshold, auc)
  const alarms = shareAbove(histograms.normal, threshold)
  const detected = shareAbove(histograms.anomalous, threshold)
  $("#rates").textContent = `Above ${threshold.toFixed(2)}: ${percent(alarms)} of the normal ` +
    `images (false alarms), ${percent(detected)} of the zeros (detected).`
  outcome("4 zero", `Above most normal images: with ${chosen}, in ${Math.round(100 * auc)} of 100
    pairs of a zero and a normal image the zero has the higher score. This share is the AUC.`)
}

function showBreak() {
  if (!picked.break) return
  const found = look(picked.break)
  showTile("#break-x", picked.break.pixels, "your drawing")
  showTile("#break-x-hat", found.x_hat, "rebuilt from both codes")
  showProbabilities("#break-bars", found.p, digits())
  verdict("#break-verdict", found, about.strict)
}
