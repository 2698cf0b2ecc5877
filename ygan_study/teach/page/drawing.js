// A place to draw with a mouse, a finger or the keyboard, and what becomes of the drawing.

const INK_SIDE = 28, FITS = 20, PEN = 2.4  // MNIST: 28 x 28, a digit fits 20 x 20, lines of 2 to 3
const FINE = 10  // a drawing is painted ten times as large, then averaged
const PAD_PEN = 18, STEP = 10  // of the pad's 260 pixels: its lines, a step of the keyboard's pen

// Strokes, lists of points (x, y) -> the ink of an image, as MNIST's was made: scaled to fit, its
// centre of mass in the middle of 28 x 28, then 32 x 32 and black where at least half is.
function inkOf(strokes) {
  const points = strokes.flat()
  const [left, right, top, bottom] = [[0, Math.min], [0, Math.max], [1, Math.min], [1, Math.max]]
    .map(([axis, most]) => most(...points.map(point => point[axis])))
  const scale = FINE * (FITS - PEN) / Math.max(right - left, bottom - top, 1)
  const middle = FINE * INK_SIDE / 2
  const painted = (dx, dy) => {
    const canvas = makeCanvas(FINE * INK_SIDE, FINE * INK_SIDE)
    const pen = canvas.getContext("2d", { willReadFrequently: true })
    pen.translate(middle + FINE * dx, middle + FINE * dy)
    pen.scale(scale, scale)
    pen.translate(-(left + right) / 2, -(top + bottom) / 2)
    trace(pen, strokes, FINE * PEN / scale)
    const alpha = pen.getImageData(0, 0, canvas.width, canvas.width).data
    const small = new Float32Array(INK_SIDE ** 2)
    for (let y = 0; y < canvas.width; y++) for (let x = 0; x < canvas.width; x++) {
      const at = Math.floor(y / FINE) * INK_SIDE + Math.floor(x / FINE)
      small[at] += alpha[4 * (y * canvas.width + x) + 3] / FINE ** 2
    }
    return small
  }
  const first = painted(0, 0), mass = first.reduce((a, b) => a + b)
  const mean = place => first.reduce((sum, value, i) => sum + value * place(i), 0) / mass
  const x = mean(i => i % INK_SIDE), y = mean(i => Math.floor(i / INK_SIDE))
  const centred = painted((INK_SIDE - 1) / 2 - x, (INK_SIDE - 1) / 2 - y)
  return Uint8Array.from({ length: 1024 }, (_, p) =>
    bilinear(centred, p % 32, Math.floor(p / 32)) >= 128 ? 1 : 0)
}

// An image of 28 x 28 at a pixel of 32 x 32.
function bilinear(small, x32, y32) {
  const place = v => Math.min(Math.max((v + 0.5) * INK_SIDE / 32 - 0.5, 0), INK_SIDE - 1)
  const x = place(x32), y = place(y32), left = Math.floor(x), top = Math.floor(y)
  const right = Math.min(left + 1, INK_SIDE - 1), below = Math.min(top + 1, INK_SIDE - 1)
  const along = row => {
    const from = small[row * INK_SIDE + left], to = small[row * INK_SIDE + right]
    return from + (x - left) * (to - from)
  }
  return along(top) + (y - top) * (along(below) - along(top))
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
  const lift = () => {
    if (!down) return
    down = false
    says.textContent = ""
    drawn()
  }
  const placeOf = event => {
    const box = canvas.getBoundingClientRect()
    const scale = size / box.width
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]
  }
  canvas.addEventListener("pointerdown", event => {
    if (event.button || !event.isPrimary) return
    event.preventDefault()
    canvas.setPointerCapture(event.pointerId)
    down = true
    keyboard = false
    pad.strokes.push([placeOf(event)])
    redraw()
  })
  canvas.addEventListener("pointermove", event => {
    if (!down || !event.isPrimary || keyboard) return
    pad.strokes.at(-1).push(placeOf(event))
    redraw()
  })
  canvas.addEventListener("pointerup", lift)
  canvas.addEventListener("pointercancel", lift)
  canvas.addEventListener("keydown", event => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
    const move = moves[event.key]
    if (!move && event.key != " ") return
    event.preventDefault()
    keyboard = true
    if (move) {
      move.forEach((sign, i) => { own[i] = Math.min(Math.max(own[i] + STEP * sign, 0), size) })
      if (down) pad.strokes.at(-1).push([...own])
    } else if (down) lift()
    else {
      down = true
      pad.strokes.push([[...own]])
    }
    redraw()
  })
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) {
      says.textContent = "The arrow keys move the pen; the space bar puts it down and lifts it."
    }
  })
  canvas.addEventListener("blur", () => {
    lift()
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
  pad.lift = lift
  pad.moveTo = (place, colour) => {
    says.textContent = ""
    place.replaceChildren(...pad.parts)
    pad.recolour(colour)
  }
  return pad
}
