// What a student kept: pictures of station 5, and all answers as a table.

let count = 0  // of pictures kept

function keep() {
  if (!picked.break) return pad.nothing()
  const meant = $("#meant").value
  const flagged = verdict("#break-verdict", look(picked.break), about.strict)
  const outcome = flagged ? "is called an anomaly" : "passes as normal"
  const notKept = meant ? `Not broken: the drawing ${outcome}, which is right.`
    : "First choose what you drew."
  if (!meant || (meant == "a digit") != flagged) {
    $("#kept-verdict").textContent = notKept
    return
  }
  count += 1
  answers[`5 ${meant}`] = `${outcome} (${count} kept)`
  $("#kept-verdict").textContent =
    `You broke it: the drawing ${outcome}, though it is ${meant} from ${meant == "a digit" ? 1 : 0} to 9.`
  const figure = $("#kept").appendChild(make("figure", { className: "tile", id: `kept-${count}` }))
  showTile(`#${figure.id}`, picked.break.pixels, `${meant}, ${flagged ? "anomaly" : "normal"}`)
}

function download() {
  if (!picked.break) return pad.nothing()
  const sheet = makeCanvas(680, 400), pen = sheet.getContext("2d")
  pen.fillStyle = "#fff"
  pen.fillRect(0, 0, sheet.width, sheet.height)
  pen.imageSmoothingEnabled = false
  const canvases = all("#break .row:first-child canvas")  // the drawing, and what is rebuilt of it
  canvases.forEach((canvas, i) => pen.drawImage(canvas, 20 + 330 * i, 20, 310, 310))
  pen.fillStyle = "#000"
  pen.font = "18px system-ui, sans-serif"
  pen.fillText(`${$("#break-verdict").textContent} (Y-GAN, ${MAIN})`, 20, 370)
  save("y-gan.png", sheet.toDataURL("image/png"))
}

function save(name, url) {
  make("a", { href: url, download: name }).click()
}

// As CSV, in the form that `python -m ygan_study.teach gather` reads.
function writeAnswers() {
  const name = $("#name").value.trim(), learned = $("#learned").value.trim()
  const quoted = text => `"${text.replaceAll('"', '""')}"`
  const rows = Object.entries({ ...answers, ...(learned && { learned }) })
    .map(([question, text]) => [name, "play", question, text].map(quoted).join())
  $("#table").value = ["student,exercise,question,answer", ...rows].join("\n") + "\n"
}

function sayDone(what) {
  $("#copied").textContent = $("#name").value.trim() ? what : `${what} They have no name yet.`
}

function copyAnswers() {
  $("#table").select()  // navigator.clipboard is not there on every page opened as a file
  sayDone(document.execCommand("copy") ? "Copied." : "Please copy the text below.")
}

function saveAnswers() {
  const name = $("#name").value.trim().replace(/[^\p{L}\p{N}_.-]+/gu, "_")
    .replace(/^[_.]+|_+$/g, "") || "answers"
  save(`${name}.csv`, `data:text/csv;charset=utf-8,${encodeURIComponent($("#table").value)}`)
  sayDone("Downloaded.")
}
