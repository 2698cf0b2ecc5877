// The five stations: what each shows of the images that were chosen.

const MAIN = "balanced"  // the network of stations 1, 2 and 5

let about, networks, pad
let station, chosen = MAIN, turn = 0  // turn: of the images of station 3
let mine  // the drawing, as an image
const picked = {}  // images, by strip
const answers = {}

// What the networks make of images

function look(image, name = MAIN) {
  const network = networks[name], x = [toInput(image.pixels)]
  const [z_s] = network.encode("E_s", x), [z_r] = network.encode("E_r", x)
  const p = softmax(network.classify(z_s))
  return { z_s, z_r, p, s: 1 - Math.max(...p), x_hat: toPixels(network.decode([z_s], [z_r])[0]) }
}

const digits = () => [...Array(10).keys()].filter(digit => digit != about.held_out)
const mostLikely = p => digits()[p.indexOf(Math.max(...p))]

// Pixels of all hybrids: a row for each image that gives z_r, a column for each that gives z_s.
function hybrids(name, tops, lefts) {
  const network = networks[name], inputs = images => images.map(image => toInput(image.pixels))
  const z_s = network.encode("E_s", inputs(tops)), z_r = network.encode("E_r", inputs(lefts))
  return z_r.map(r => network.decode(z_s, z_s.map(() => r)).map(toPixels))
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
  const image = picked.codes, found = look(image)
  showTile("#codes-x", image.pixels, "<i>x</i>, the image")
  showTile("#codes-x-hat", found.x_hat, "<i>x̂</i>, rebuilt from both")
  const z = {}
  for (const key of ["z_s", "z_r"]) {
    z[key] = found[key].map((value, i) => value - about.networks[MAIN].mean[key][i])
  }
  if (compared.image != image) Object.assign(compared, { image, before: compared.z, z })
  const before = answered("codes") && compared.before, change = {}
  for (const key of ["z_s", "z_r"]) {
    const between = before && z[key].map((value, i) => value - before[key][i])
    if (before) change[key] = percent(Math.hypot(...between) / Math.hypot(...before[key]))
    showLatent(`#codes-${key}`, z[key], before ? before[key] : [])
    const text = before ? `, changed by ${change[key]}` : ""
    $(`#change-${key}`).innerHTML = math(`${key}: 100 numbers${text}`)
  }
  return change
}

function changeBackground() {
  const old = picked.codes, colour = (old.colour + 3) % 10
  picked.codes = onBackground(old, colour)
  pad.recolour(colour)
  const change = showCodes()
  outcome("1 code", `From ${colourName(old.colour)} to ${colourName(colour)}, z_s changed by
    ${change.z_s}, z_r by ${change.z_r}. Now change the digit.`)
}

function whose(value, a, b) {
  const owners = [a == value && "A", b == value && "B"].filter(Boolean)
  return owners.length ? `that of ${owners.join(" and ")}` : "neither that of A nor that of B"
}

function showSwap() {
  if (!answered("swap")) return
  const pair = [picked.a, picked.b], start = performance.now()
  const grid = hybrids(MAIN, pair, pair), time = performance.now() - start
  const [a, b, ab, ba] = [picked.a.pixels, picked.b.pixels, grid[1][0], grid[0][1]].map(pixels => (
    { pixels, digit: mostLikely(look({ pixels }).p), colour: background(pixels) }))
  const says = image => `<i>C</i> reads ${image.digit}, on ${colourName(image.colour)}`
  showTile("#swap-a", a.pixels, `A: ${says(a)}`)
  showTile("#swap-b", b.pixels, `B: ${says(b)}`)
  showTile("#swap-ab", ab.pixels, math(`z_s of A, z_r of B: ${says(ab)}`))
  showTile("#swap-ba", ba.pixels, math(`z_s of B, z_r of A: ${says(ba)}`))
  outcome("2 digit", `C reads ${ab.digit}, ${whose(ab.digit, a.digit, b.digit)}.`)
  outcome("2 background",
    `It is ${colourName(ab.colour)}, ${whose(ab.colour, a.colour, b.colour)}.`)
  $("#swap-time").textContent = `One swap took ${time.toFixed(0)} ms in this browser.`
  const [tops, lefts] = columnsAndRows(0)
  const own = [[picked.a, ...tops.slice(1)], [picked.b, ...lefts.slice(1)]]
  showGrid("#swap-grid", ...own, hybrids(MAIN, ...own))
  showWay()
}

function showWay() {
  const network = networks[MAIN], x = [picked.a, picked.b].map(image => toInput(image.pixels))
  const z_s = network.encode("E_s", x), z_r = network.encode("E_r", x), way = +$("#way").value
  const between = z_r[0].map((value, i) => value + way * (z_r[1][i] - value))
  const [hybrid] = network.decode([z_s[0]], [between])
  showTile("#swap-way", toPixels(hybrid), `${percent(way)} of the way`)
}

function showNetworks() {
  if (!answered("networks")) return
  const [tops, lefts] = columnsAndRows(turn), counts = {}
  for (const name of ["balanced", "paper"]) {
    const grid = hybrids(name, tops, lefts), network = networks[name]
    showGrid(`#grid-${name}`, tops, lefts, grid)
    let kept = 0, followed = 0
    grid.forEach((row, i) => network.encode("E_s", row.map(toInput)).forEach((z_s, j) => {
      kept += mostLikely(softmax(network.classify(z_s))) == tops[j].digit
      followed += background(row[j]) == lefts[i].colour
    }))
    counts[name] = followed
    $(`#count-${name}`).innerHTML = `${name}: ${followed} of 36 have the background of the row;
      <i>C</i> reads the digit of the column in ${kept} of 36.`
  }
  outcome("3 network", `The background comes from z_r in ${counts.balanced} of 36 with balanced,
    in ${counts.paper} of 36 with paper.`)
}

function verdict(id, { p, s }) {
  const threshold = +$("#threshold").value, flagged = s > threshold
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
  verdict("#normal-verdict", found)
  showHistogram("#histogram", histograms, threshold, found.s)
  showRoc("#roc", histograms, threshold, auc)
  const alarms = shareAbove(histograms.normal, threshold)
  const detected = shareAbove(histograms.anomalous, threshold)
  $("#rates").textContent = `Above ${threshold.toFixed(2)}: ${percent(alarms)} of the normal ` +
    `images (false alarms), ${percent(detected)} of the zeros (detected).`
  outcome("4 zero", `With ${chosen}, a zero has a higher score than a normal image in
    ${percent(auc)} of all pairs (AUC).`)
}

function showBreak() {
  if (!picked.break) return
  const found = look(picked.break)
  showTile("#break-x", picked.break.pixels, "your drawing")
  showTile("#break-x-hat", found.x_hat, "rebuilt from both codes")
  showProbabilities("#break-bars", found.p, digits())
  verdict("#break-verdict", found)
}
