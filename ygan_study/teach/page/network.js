// E_s, E_r, D and C (sections 3.1 and 4.3 of the paper), for images of 3 x 32 x 32.
//
// An encoder of width 32 multiplies and adds 4.8 million times, which takes milliseconds in plain
// typed arrays. A batch of n feature maps lies in memory as channels x n x rows x columns, so that
// a convolution is one product of matrices. Weights have PyTorch's names and shapes.

// The product of a (m x k) and b (k x n). Every k here is a multiple of four: four rows of b are
// read at a time, so that `out` is read and written a quarter as often.
function product(a, b, m, k, n) {
  const out = new Float32Array(m * n)
  for (let row = 0; row < m; row++) {
    const to = row * n
    for (let i = 0; i < k; i += 4) {
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
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j]
  }
  return out
}

// All kernels are 4 x 4, with stride 2 and padding 1. Such a kernel connects each pixel of a small
// map (side x side) with 16 pixels of a map twice as large. For each connection that does not reach
// over the border this calls visit(large, small), with the places of both pixels in memory; small
// counts pixels of (channels x 16) x (n x side x side), the matrix of all patches.
function forEachConnection(channels, n, side, visit) {
  const large = 2 * side
  let small = 0
  for (let channel = 0; channel < channels; channel++) for (let tap = 0; tap < 16; tap++) {
    for (let image = 0; image < n; image++) for (let i = 0; i < side; i++) {
      const y = 2 * i - 1 + (tap >> 2), inside = y >= 0 && y < large
      const row = ((channel * n + image) * large + y) * large
      for (let j = 0; j < side; j++, small++) {
        const x = 2 * j - 1 + (tap & 3)
        if (inside && x >= 0 && x < large) visit(row + x, small)
      }
    }
  }
}

function convolution(x, weight, channels, outputs, n, side) {  // side of the output
  const patches = new Float32Array(channels * 16 * n * side * side)
  forEachConnection(channels, n, side, (large, small) => { patches[small] = x[large] })
  return product(weight, patches, outputs, channels * 16, n * side * side)
}

function transposeConvolution(x, weight, channels, outputs, n, side) {  // side of the input
  const patches = product(weight, x, outputs * 16, channels, n * side * side)
  const out = new Float32Array(outputs * n * 4 * side * side)
  forEachConnection(outputs, n, side, (large, small) => { out[large] += patches[small] })
  return out
}

// Leaky ReLU and then batch norm, which in eval mode is a scale and a shift of each channel.
function activated(x, slope, scale, shift) {
  const size = x.length / scale.length
  return x.map((value, i) => {
    const channel = Math.floor(i / size)
    return (value < 0 ? slope * value : value) * scale[channel] + shift[channel]
  })
}

// Between a list of vectors and the matrix that has them as columns.
const asColumns = vectors => {
  const rows = new Float32Array(vectors.flatMap(vector => [...vector]))
  return transposed(rows, vectors.length, vectors[0].length)
}
const columnsOf = (matrix, rows, n) => {
  const turned = transposed(matrix, rows, n)
  return Array.from({ length: n }, (_, i) => turned.slice(i * rows, (i + 1) * rows))
}

// Between maps (channels x n x size) and flattened ones ((channels x size) x n).
const exchanged = (x, channels, rows, columns) => {
  const size = rows * columns
  const each = Array.from({ length: channels }, (_, c) =>
    transposed(x.subarray(c * size, (c + 1) * size), rows, columns))
  return Float32Array.from(each.flatMap(map => [...map]))
}

class Network {
  constructor(weights, width) {
    this.width = width
    this.weights = { ...weights }
    for (const [layer, inputs] of [[0, 200], [3, 4 * width], [6, 2 * width], [9, width]]) {
      const name = `D.layers.${layer}.weight`
      this.weights[name] = transposed(weights[name], inputs, weights[name].length / inputs)
    }
  }

  activate(x, slope, name) {
    return activated(x, slope, this.weights[`${name}.scale`], this.weights[`${name}.shift`])
  }

  // Images in [-1, 1] -> their latents under "E_s" or "E_r", each of 100 numbers.
  encode(encoder, images) {
    const w = this.weights, n = images.length
    let x = exchanged(asColumns(images), 3, 1024, n), channels = 3, side = 32
    for (const [layer, outputs] of [[0, this.width], [3, 2 * this.width], [6, 4 * this.width]]) {
      side /= 2
      const name = number => `${encoder}.features.${number}`
      x = convolution(x, w[`${name(layer)}.weight`], channels, outputs, n, side)
      x = this.activate(x, 0.2, name(layer + 2))
      channels = outputs
    }
    const flat = exchanged(x, channels, n, side * side)
    const z = product(w[`${encoder}.to_latent.weight`], flat, 100, channels * side * side, n)
    return columnsOf(z, 100, n)
  }

  // Latents -> images in (-1, 1).
  decode(z_s, z_r) {
    const w = this.weights, n = z_s.length
    const z = asColumns(z_s.map((s, i) => [...s, ...z_r[i]]))
    let channels = 4 * this.width, side = 4
    let x = exchanged(product(w["D.layers.0.weight"], z, channels * 16, 200, n), channels, 16, n)
    for (const layer of [2, 5, 8]) {
      x = this.activate(x, 0, `D.layers.${layer}`)
      const outputs = layer == 8 ? 3 : channels / 2, weight = w[`D.layers.${layer + 1}.weight`]
      x = transposeConvolution(x, weight, channels, outputs, n, side)
      channels = outputs
      side *= 2
    }
    return columnsOf(exchanged(x.map(Math.tanh), 3, n, 1024), 3 * 1024, n)
  }

  // z_s -> the logits of C, one for each normal digit.
  classify(z_s) {
    const linear = (z, layer) => {
      const weight = this.weights[`C.${layer}.weight`]
      return this.weights[`C.${layer}.bias`].map((bias, i) =>
        z.reduce((sum, value, j) => sum + value * weight[i * z.length + j], bias))
    }
    return linear(linear(z_s, 0).map(h => (h < 0 ? 0.2 * h : h)), 2)
  }
}

function softmax(logits) {
  const highest = Math.max(...logits), powers = Array.from(logits, l => Math.exp(l - highest))
  const sum = powers.reduce((a, b) => a + b)
  return powers.map(p => p / sum)
}

// 8-bit pixels <-> [-1, 1], as scores.to_input and scores.to_image of ygan_core.
const toInput = pixels => Float32Array.from(pixels, p => p / 127.5 - 1)
const toPixels = x => Uint8ClampedArray.from(x, v => Math.round((v + 1) * 127.5))
