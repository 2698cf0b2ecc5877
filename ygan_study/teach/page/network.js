// E_s, E_r, D and C (sections 3.1 and 4.3 of the paper), for an image of 3 x 32 x 32.
//
// An encoder of width 32 multiplies and adds 4.8 million times, which takes milliseconds in plain
// typed arrays. Feature maps lie in memory as channels x rows x columns, so that a convolution is
// one product of matrices. Weights have PyTorch's names; `tensors_of` in play.py makes them.

// The product of a (m x k) and b (k x n). Here k is always a multiple of four: four rows of b are
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

// All kernels are 4 x 4, with stride 2 and padding 1. Such a kernel connects each pixel of a small
// map (side x side) with 16 pixels of a map twice as large. For each connection that does not reach
// over the border this calls visit(large, small), with the places of both pixels in memory; small
// counts pixels of (channels x 16) x (side x side), the matrix of all patches.
function forEachConnection(channels, side, visit) {
  const large = 2 * side
  let small = 0
  for (let channel = 0; channel < channels; channel++) for (let tap = 0; tap < 16; tap++) {
    for (let i = 0; i < side; i++) {
      const y = 2 * i - 1 + (tap >> 2), inside = y >= 0 && y < large
      const row = (channel * large + y) * large
      for (let j = 0; j < side; j++, small++) {
        const x = 2 * j - 1 + (tap & 3)
        if (inside && x >= 0 && x < large) visit(row + x, small)
      }
    }
  }
}

function convolution(x, weight, channels, outputs, side) {  // side of the output
  const patches = new Float32Array(channels * 16 * side * side)
  forEachConnection(channels, side, (large, small) => { patches[small] = x[large] })
  return product(weight, patches, outputs, channels * 16, side * side)
}

function transposeConvolution(x, weight, channels, outputs, side) {  // side of the input
  const patches = product(weight, x, outputs * 16, channels, side * side)
  const out = new Float32Array(outputs * 4 * side * side)
  forEachConnection(outputs, side, (large, small) => { out[large] += patches[small] })
  return out
}

class Network {
  constructor(weights, width) {
    this.weights = weights
    this.width = width
  }

  // Leaky ReLU and then batch norm, which in eval mode is a scale and a shift of each channel.
  activate(x, slope, name) {
    const scale = this.weights[`${name}.scale`], shift = this.weights[`${name}.shift`]
    const size = x.length / scale.length
    return x.map((value, i) => {
      const channel = Math.floor(i / size)
      return (value < 0 ? slope * value : value) * scale[channel] + shift[channel]
    })
  }

  // The 8-bit pixels of an image -> its latent under "E_s" or "E_r", of 100 numbers.
  encode(encoder, pixels) {
    const name = layer => `${encoder}.features.${layer}`
    let x = Float32Array.from(pixels, p => p / 127.5 - 1), channels = 3, side = 32
    for (const [layer, outputs] of [[0, this.width], [3, 2 * this.width], [6, 4 * this.width]]) {
      side /= 2
      x = convolution(x, this.weights[`${name(layer)}.weight`], channels, outputs, side)
      x = this.activate(x, 0.2, name(layer + 2))
      channels = outputs
    }
    return product(this.weights[`${encoder}.to_latent.weight`], x, 100, x.length, 1)
  }

  // Latents -> an image in (-1, 1).
  decode(z_s, z_r) {
    const name = layer => `D.layers.${layer}`
    let channels = 4 * this.width, side = 4
    let x = Float32Array.of(...z_s, ...z_r)
    x = product(this.weights[`${name(0)}.weight`], x, channels * 16, x.length, 1)
    for (const [layer, outputs] of [[2, 2 * this.width], [5, this.width], [8, 3]]) {
      x = this.activate(x, 0, name(layer))
      const weight = this.weights[`${name(layer + 1)}.weight`]
      x = transposeConvolution(x, weight, channels, outputs, side)
      channels = outputs
      side *= 2
    }
    return x.map(Math.tanh)
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

// As scores.to_image of ygan_core.
const toPixels = x => Uint8ClampedArray.from(x, v => Math.round((v + 1) * 127.5))
