// A place to draw with a mouse, a finger or the keyboard, and what becomes of the drawing.

const FITS = 20, PEN = 2.4  // MNIST: 28 x 28, a digit fits 20 x 20, lines of 2 to 3
const PAD_PEN = 18, STEP = 10  // of the pad's 260 pixels: its lines, a step of the keyboard's pen

// Strokes, lists of points (x, y) -> the ink of an image, as MNIST's was made: scaled to fit, its
// centre of mass in the middle of 28 x 28. It is painted at 32 x 32, and black where at least half
// of a pixel is covered.
function inkOf(strokes) {
  const extent = [0, 1].map(axis => {
    const values = strokes.flat().map(point => point[axis])
    return [Math.min(...values), Math.max(...values)]
  })
  const scale = 32 / 28 * (FITS - PEN) / Math.max(...extent.map(([low, high]) => high - low), 1)
  const painted = (x, y) => {  // with this point of the drawing in the middle
    const pen = makeCanvas(32, 32).getContext("2d", { willReadFrequently: true })
    pen.translate(16, 16)
    pen.scale(scale, scale)
    pen.translate(-x, -y)
    trace(pen, strokes, 32 / 28 * PEN / scale)
    const { data } = pen.getImageData(0, 0, 32, 32)
    return Array.from({ length: 1024 }, (_, p) => data[4 * p + 3])
  }
  const [x, y] = extent.map(([low, high]) => (low + high) / 2), first = painted(x, y)
  const sum = place => first.reduce((sum, value, p) => sum + value * place(p), 0)
  const away = place => (sum(place) / sum(() => 1) - 15.5) / scale
  const centred = painted(x + away(p => p % 32), y + away(p => Math.floor(p / 32)))
  return Uint8Array.from(centred, value => (value >= 128 ? 1 : 0))
}

function trace(pen, strokes, width) {
  pen.lineWidth = width
  pen.lineCap = pen.lineJoin = "round"
  for (const stroke of strokes) {
    pen.beginPath()
    for (const point of [stroke[0], ...stroke]) pen.lineTo(...point)  // a dot is a line, too
    pen.stroke()
  }
}

function mark(pen, x, y) {  // white in black: seen on every background
  pen.lineWidth = 3
  for (const [colour, radius] of [["#fff", 9], ["#000", 12]]) {
    pen.strokeStyle = colour
    pen.strokeRect(x - radius, y - radius, 2 * radius, 2 * radius)
  }
}

function invite(pen, middle) {
  pen.font = "20px system-ui, sans-serif"
  pen.textAlign = "center"
  pen.fillStyle = "#fff"
  pen.fillRect(middle - 60, middle - 20, 120, 32)
  pen.fillStyle = "#000"
  pen.fillText("draw here", middle, middle + 3)
}

// The one pad of the page, which moves to the station that is shown. It calls drawn() after a
// stroke, recoloured() after another background was chosen, and cleared() when it is wiped.
function makePad({ drawn, recoloured, cleared }) {
  const parts = $("#pad").content, canvas = parts.querySelector("canvas"), size = canvas.width
  const background = parts.querySelector("#background"), says = parts.querySelector("#pad-says")
  const pad = { strokes: [], background, parts: [...parts.children] }
  const own = [size / 2, size / 2]  // where the keyboard's pen is
  let down = false, keyboard = false

  const redraw = () => {
    const pen = canvas.getContext("2d")
    canvas.style.backgroundColor = `rgb(${Object.values(about.colours)[background.value]})`
    pen.clearRect(0, 0, size, size)
    trace(pen, pad.strokes, PAD_PEN)
    if (keyboard) mark(pen, ...own)
    else if (!pad.strokes.length) invite(pen, size / 2)
  }
  const press = place => {
    down = true
    pad.strokes.push([place])
    redraw()
  }
  const move = place => {
    if (down) pad.strokes.at(-1).push(place)
    redraw()
  }
  pad.lift = () => {
    if (!down) return
    down = false
    says.textContent = ""
    drawn()
  }
  const placeOf = event =>
    [event.offsetX, event.offsetY].map(value => value * size / canvas.clientWidth)

  canvas.addEventListener("pointerdown", event => {
    if (event.button || !event.isPrimary) return
    event.preventDefault()
    canvas.setPointerCapture(event.pointerId)
    keyboard = false
    press(placeOf(event))
  })
  canvas.addEventListener("pointermove", event => {
    if (down && event.isPrimary && !keyboard) move(placeOf(event))
  })
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, pad.lift)
  canvas.addEventListener("keydown", event => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
    const way = moves[event.key]
    if (!way && event.key != " ") return
    event.preventDefault()
    keyboard = true
    if (way) {
      way.forEach((sign, i) => { own[i] = Math.min(Math.max(own[i] + STEP * sign, 0), size) })
      move([...own])
    } else if (down) pad.lift()
    else press([...own])
  })
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) {
      says.textContent = "The arrow keys move the pen; the space bar puts it down and lifts it."
    }
  })
  canvas.addEventListener("blur", () => {
    pad.lift()
    keyboard = false
    redraw()
  })

  background.append(...Object.keys(about.colours).map((name, i) => new Option(name, i)))
  background.addEventListener("change", () => {
    redraw()
    recoloured()
  })
  parts.querySelector("#clear").addEventListener("click", () => {
    pad.strokes.length = 0
    redraw()
    pad.nothing()
    cleared()
  })
  pad.nothing = () => { says.textContent = "Nothing is drawn yet." }
  pad.recolour = colour => {
    background.value = colour
    redraw()
  }
  pad.moveTo = (place, colour) => {
    says.textContent = ""
    place.replaceChildren(...pad.parts)
    pad.recolour(colour)
  }
  return pad
}
