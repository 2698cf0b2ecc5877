// What a student does: choose and draw images, predict, and go from station to station.

const STATIONS = ["codes", "swap", "networks", "normal", "break", "answers"]
const DRAWN_FOR = { codes: "codes", swap: "a", normal: "normal", break: "break" }
const FIRST_DIGIT = { codes: 4, a: 2, b: 7, normal: 0 }
const SHOW = { codes: showCodes, swap: showSwap, networks: showNetworks, normal: showNormal,
  break: showBreak, answers: writeAnswers }

// Choosing and drawing

function choose(key, image) {
  picked[key] = image
  if (key == DRAWN_FOR[station]) pad.recolour(image.colour)
  for (const input of all(`[data-strip=${key}] input`)) {
    input.checked = input.value == (image.digit ?? "mine")
  }
  SHOW[station]()
}

// At the first station a digit is changed alone: it takes over the background of the one before.
function chooseTile(key, image) {
  choose(key, key == "codes" ? onBackground(image, picked.codes.colour) : image)
}

function setMine(image) {
  mine = image
  for (const tile of all(".strip .mine")) {
    tile.hidden = !mine
    if (mine) paint(tile.querySelector("canvas"), mine.pixels)
  }
}

function drawn() {
  setMine(onBackground({ ink: inkOf(pad.strokes) }, +pad.background.value))
  choose(DRAWN_FOR[station], mine)
}

function recoloured() {
  const key = DRAWN_FOR[station], image = picked[key]
  if (!image) return pad.nothing()
  const other = onBackground(image, +pad.background.value)
  if (image == mine) setMine(other)
  choose(key, other)
}

function cleared() {
  setMine()
  delete picked.break
}

function fillStrip(strip) {
  const key = strip.dataset.strip, each = about.images.length / 10
  const add = (value, name, image) => {
    const input = make("input", { type: "radio", name: key, value })
    input.setAttribute("aria-label", name)
    input.addEventListener("click", () => (image ? chooseTile(key, image) : choose(key, mine)))
    const canvas = makeCanvas(32, 32)
    if (image) paint(canvas, image.pixels)
    return strip.appendChild(make("label", {}, input, canvas))
  }
  for (let digit = 0; digit < 10; digit++) {
    const image = about.images[digit * each + (key == "b" ? 3 : 0)]
    const label = add(digit, `${digit} on ${colourName(image.colour)}`, image)
    if (digit != FIRST_DIGIT[key]) continue
    label.querySelector("input").checked = true
    picked[key] = image
  }
  Object.assign(add("mine", "your drawing"), { className: "mine", hidden: true })
}

// Predictions: the result of a station is shown once all of its questions are answered.

function setPressed(pressed) {
  for (const button of pressed.parentElement.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", button == pressed)
  }
}

function predict(button) {
  const own = button.closest("section"), fieldsets = [...own.querySelectorAll(".predict")]
  answers[button.closest("fieldset").dataset.question] = button.value || button.textContent
  setPressed(button)
  if (fieldsets.every(one => one.dataset.question in answers)) reveal(own, fieldsets)
}

function reveal(own, fieldsets) {
  for (const one of fieldsets) {
    const text = make("p", { className: "outcome" })
    text.dataset.outcome = one.dataset.question
    one.replaceWith(text)
  }
  for (const result of own.querySelectorAll(".result")) result.hidden = false
  if (own.id == "codes") changeBackground()
  else SHOW[own.id]()
}

// Beginning, and going from station to station

function go() {
  pad.lift()  // a stroke belongs to the station where it was drawn
  const number = +location.hash.slice(1) || 1
  station = STATIONS[number - 1] ?? STATIONS[0]
  for (const section of all("section")) section.hidden = section.id != station
  for (const link of all("nav a")) {
    if (link.hash == `#${number}`) link.setAttribute("aria-current", "page")
    else link.removeAttribute("aria-current")
  }
  if (station == "break" && mine) picked.break = mine
  const place = $(`#${station} .pad`)
  if (place) pad.moveTo(place, (picked[DRAWN_FOR[station]] ?? about.images[3]).colour)
  SHOW[station]()
  scrollTo(0, 0)
}

function setThreshold(event) {  // where the histogram is pressed
  if (!event.buttons) return
  const box = $("#histogram").getBoundingClientRect()
  $("#threshold").value = (event.clientX - box.left) / box.width * about.highest
  showNormal()
}

function setNetwork(button) {
  chosen = button.textContent
  setPressed(button)
  showNormal()
}

function showOthers() {
  turn += 1
  showNetworks()
}

function goByKey(event) {
  const typing = /^(TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.id == "name"
  const modified = event.ctrlKey || event.altKey || event.metaKey
  if (!typing && !modified && /^[1-6]$/.test(event.key)) location.hash = event.key
}

function fail(text) {
  $("#problem").textContent = text
  $("#problem").hidden = false
  $("#waiting").hidden = true
}

async function start() {
  if (!window.DecompressionStream) {
    return fail("This browser cannot unpack the networks: please use Chrome or Edge from 2020 " +
      "on, or Firefox or Safari from 2023 on.")
  }
  try {
    about = JSON.parse($("#about").textContent)
    networks = await loadNetworks($("#weights").textContent, about)
  } catch (error) {
    return fail("The networks in this page are damaged or cut off: please download it again.")
  }
  about.images = about.images.map(({ digit, colour, ink }) =>
    onBackground({ digit, ink: unpackedInk(ink) }, colour))
  Object.assign($("#threshold"), { max: about.highest, value: about.threshold })
  for (const span of all("[data-epochs]")) {
    span.textContent = about.networks[span.dataset.epochs].epochs
  }
  pad = makePad({ drawn, recoloured, cleared })
  all("[data-strip]").forEach(fillStrip)
  for (const button of all(".predict button")) button.onclick = () => predict(button)
  addEventListener("hashchange", go)
  addEventListener("keydown", goByKey)
  for (const part of ["main", "nav"]) $(part).hidden = false
  $("#waiting").hidden = true
  go()
}

document.addEventListener("DOMContentLoaded", start)
