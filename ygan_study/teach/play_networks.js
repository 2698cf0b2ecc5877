// E_s, E_r, D and C (sections 3.1 and 4.3 of the paper) in typed arrays, for networks of 32 x 32 images.
// A batch of n maps lies as channels x n x rows x columns. Weights are named and shaped as in PyTorch.

// IEEE half precision, given as the high and the low bytes of each number -> Float32Array.
function fromHalves(high, low) {
  return Float32Array.from(high, (top, i) => {
    const exponent = (top >> 2) & 31, fraction = ((top & 3) << 8) | low[i]
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24
    return top & 128 ? -size : size
  })
}

// a (m x k) times b (k x n), four rows of b at a time.
function product(a, b, m, k, n) {
  const out = new Float32Array(m * n)
  for (let row = 0; row < m; row++) {
    const to = row * n
    for (let i = 0; i < k; i += 4) {  // every k here is a multiple of four
      const at = row * k + i, w0 = a[at], w1 = a[at + 1], w2 = a[at + 2], w3 = a[at + 3]
      for (let j = 0, p = i * n; j < n; j++, p++) {
        out[to + j] += w0 * b[p] + w1 * b[p + n] + w2 * b[p + 2 * n] + w3 * b[p + 3 * n]
      }
    }
  }
  return out
}

function transposed(a, rows, columns) {
  const out = new Float32Array(a.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j]
  return out
}

// Calls visit(outer, inner) for each pixel of n maps of side x side and each of the 4 x 4 places of a kernel
// of stride 2 and padding 1: inner is the pixel's place, outer that of the map twice as large, or -1.
function strided(channels, n, side, visit) {
  const large = 2 * side, columns = n * side * side
  for (let c = 0; c < channels; c++) for (let tap = 0; tap < 16; tap++) {
    let inner = (c * 16 + tap) * columns
    for (let image = 0; image < n; image++) for (let i = 0; i < side; i++) {
      const y = 2 * i - 1 + (tap >> 2), inside = y >= 0 && y < large
      const start = ((c * n + image) * large + y) * large
      for (let j = 0; j < side; j++, inner++) {
        const x = 2 * j - 1 + (tap & 3)
        if (inside && x >= 0 && x < large) visit(start + x, inner)
      }
    }
  }
}

function convolved(x, weight, channels, outputs, n, side) {  // side: of the output
  const patches = new Float32Array(channels * 16 * n * side * side)
  strided(channels, n, side, (outer, inner) => { patches[inner] = x[outer] })
  return product(weight, patches, outputs, channels * 16, n * side * side)
}

function transposeConvolved(x, weight, channels, outputs, n, side) {  // side: of the input
  const patches = product(weight, x, outputs * 16, channels, n * side * side)
  const out = new Float32Array(outputs * n * 4 * side * side)
  strided(outputs, n, side, (outer, inner) => { out[outer] += patches[inner] })
  return out
}

// In place: (leaky) ReLU, then batch norm with running statistics, as a scale and a shift of each channel.
function activate(x, slope, scale, shift) {
  const size = x.length / scale.length
  for (let i = 0; i < x.length; i++) {
    const c = Math.floor(i / size), value = x[i] < 0 ? slope * x[i] : x[i]
    x[i] = value * scale[c] + shift[c]
  }
  return x
}

class Network {
  constructor(weights, width) {
    this.weights = { ...weights }
    this.width = width
    for (const [layer, inputs] of [[0, 200], [3, 4 * width], [6, 2 * width], [9, width]]) {
      const name = `D.layers.${layer}.weight`, weight = weights[name]
      this.weights[name] = transposed(weight, inputs, weight.length / inputs)
    }
  }

  // Images in [-1, 1], each 3 x 32 x 32, and E_s or E_r -> their latents, each of 100 numbers.
  encode(name, images) {
    const w = this.weights, n = images.length
    let x = new Float32Array(3 * n * 1024), channels = 3, side = 32
    images.forEach((image, i) => {
      for (let c = 0; c < 3; c++) x.set(image.subarray(c * 1024, (c + 1) * 1024), (c * n + i) * 1024)
    })
    for (const [layer, outputs] of [[0, this.width], [3, 2 * this.width], [6, 4 * this.width]]) {
      side /= 2
      x = convolved(x, w[`${name}.features.${layer}.weight`], channels, outputs, n, side)
      const norm = `${name}.features.${layer + 2}`
      activate(x, 0.2, w[`${norm}.scale`], w[`${norm}.shift`])
      channels = outputs
    }
    const flat = new Float32Array(channels * 16 * n)  // (channel, place) x image
    for (let c = 0; c < channels; c++) for (let i = 0; i < n; i++) for (let p = 0; p < 16; p++) {
      flat[(c * 16 + p) * n + i] = x[(c * n + i) * 16 + p]
    }
    return columnsOf(product(w[`${name}.to_latent.weight`], flat, 100, channels * 16, n), 100, n)
  }

  // Latents -> images in (-1, 1), each 3 x 32 x 32.
  decode(z_s, z_r) {
    const w = this.weights, n = z_s.length
    const z = transposed(Float32Array.from(z_s.flatMap((s, i) => [...s, ...z_r[i]])), n, 200)
    let channels = 4 * this.width, side = 4
    const first = product(w["D.layers.0.weight"], z, channels * 16, 200, n)
    let x = new Float32Array(first.length)
    for (let c = 0; c < channels; c++) for (let p = 0; p < 16; p++) for (let i = 0; i < n; i++) {
      x[(c * n + i) * 16 + p] = first[(c * 16 + p) * n + i]
    }
    for (const layer of [2, 5, 8]) {
      activate(x, 0, w[`D.layers.${layer}.scale`], w[`D.layers.${layer}.shift`])
      const outputs = layer == 8 ? 3 : channels / 2
      x = transposeConvolved(x, w[`D.layers.${layer + 1}.weight`], channels, outputs, n, side)
      channels = outputs
      side *= 2
    }
    return z_s.map((_, i) => {
      const image = new Float32Array(3 * 1024)
      for (let c = 0; c < 3; c++) {
        image.set(x.subarray((c * n + i) * 1024, (c * n + i + 1) * 1024).map(Math.tanh), c * 1024)
      }
      return image
    })
  }

  // z_s -> the logits of C, one for each digit that is normal.
  classify(z_s) {
    const w = this.weights
    const linear = (z, layer) => {
      const bias = w[`C.${layer}.bias`], weight = w[`C.${layer}.weight`]
      return bias.map((b, i) => z.reduce((sum, value, j) => sum + value * weight[i * z.length + j], b))
    }
    return linear(linear(z_s, 0).map(h => (h < 0 ? 0.2 * h : h)), 2)
  }
}

function columnsOf(matrix, rows, n) {
  const turned = transposed(matrix, rows, n)
  return Array.from({ length: n }, (_, i) => turned.slice(i * rows, (i + 1) * rows))
}

// Probabilities, and the score s = 1 - max p (Eq. 12).
function softmax(logits) {
  const highest = Math.max(...logits), powers = Array.from(logits, l => Math.exp(l - highest))
  const sum = powers.reduce((a, b) => a + b)
  return powers.map(p => p / sum)
}

// 8-bit pixels <-> [-1, 1], as scores.to_input and scores.to_image.
const toInput = pixels => Float32Array.from(pixels, p => p / 127.5 - 1)
const toImage = x => Uint8ClampedArray.from(x, v => Math.round((v + 1) * 127.5))

// The networks of the page: base85 (Python's, with a comma in place of <) of a zlib stream of all high bytes,
// all low bytes, and all float32 numbers. Throws where it is cut or damaged.
async function loadNetworks(text, about) {
  const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~"
  const value = new Uint8Array(128)
  for (let i = 0; i < 85; i++) value[alphabet.charCodeAt(i)] = i
  const packed = new DataView(new ArrayBuffer(about.packed + 4))
  for (let i = 0, at = 0; at < about.packed; i += 5, at += 4) {
    let number = 0
    for (let j = i; j < i + 5; j++) number = number * 85 + value[text.charCodeAt(j) & 127]
    packed.setUint32(at, number % 2 ** 32)
  }
  const stream = new Blob([packed.buffer.slice(0, about.packed)]).stream()
  const unpacked = stream.pipeThrough(new DecompressionStream("deflate"))
  const bytes = new Uint8Array(await new Response(unpacked).arrayBuffer())
  const half = fromHalves(bytes.subarray(0, about.halves), bytes.subarray(about.halves, 2 * about.halves))
  const full = new Float32Array(bytes.slice(2 * about.halves).buffer)
  const networks = {}
  for (const [name, { width, tensors }] of Object.entries(about.networks)) {
    const weights = {}
    for (const [key, [kind, start, size]] of Object.entries(tensors)) {
      weights[key] = (kind == "half" ? half : full).subarray(start, start + size)
    }
    networks[name] = new Network(weights, width)
  }
  return networks
}
