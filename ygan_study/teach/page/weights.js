// From the text at the end of the page to the networks. play.py says how the text is made.

// IEEE half precision, given as the high and the low bytes of the numbers. There are 65,536 numbers,
// which are computed once: this is five times as fast.
function fromHalves(high, low) {
  const value = bits => {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24
    return bits >> 15 ? -size : size
  }
  const values = Float32Array.from({ length: 2 ** 16 }, (_, bits) => value(bits))
  return new Float32Array(high).map((top, i) => values[(top << 8) | low[i]])
}

// Base 85 as Python's base64.b85encode writes it, with a comma in place of <.
function fromBase85(text, length) {
  const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" +
    "!#$%&()*+-;,=>?@^_`{|}~"
  const value = new Uint8Array(128)
  for (let i = 0; i < 85; i++) value[alphabet.charCodeAt(i)] = i
  const bytes = new DataView(new ArrayBuffer(length + 4))
  for (let i = 0, at = 0; at < length; i += 5, at += 4) {
    let number = 0
    for (let j = i; j < i + 5; j++) number = number * 85 + value[text.charCodeAt(j) & 127]
    bytes.setUint32(at, number % 2 ** 32)
  }
  return bytes.buffer.slice(0, length)
}

// The networks by name. Rejects where the text is cut or damaged: zlib has a checksum.
async function loadNetworks(text, about) {
  const packed = new Blob([fromBase85(text, about.packed)]).stream()
  const unpacked = new Response(packed.pipeThrough(new DecompressionStream("deflate")))
  const bytes = new Uint8Array(await unpacked.arrayBuffer()), count = about.halves
  const numbers = {
    float16: fromHalves(bytes.subarray(0, count), bytes.subarray(count, 2 * count)),
    float32: new Float32Array(bytes.slice(2 * count).buffer),
  }
  const networks = {}, at = { float16: 0, float32: 0 }  // they follow each other, of each kind
  for (const [name, { width, tensors }] of Object.entries(about.networks)) {
    const weights = {}
    for (const [key, [kind, size]] of Object.entries(tensors)) {
      weights[key] = numbers[kind].subarray(at[kind], at[kind] += size)
    }
    networks[name] = new Network(weights, width)
  }
  return networks
}
