// SPDX-License-Identifier: GPL-3.0-or-later
// QR codes (ISO/IEC 18004) as far as one address needs them: bytes, level M, versions 1 to 10, mask 0. qrMatrix(text) is rows of true for
// dark; null for what is too long.
"use strict";

const QR_TOTAL = [26, 44, 70, 100, 134, 172, 196, 242, 292, 346]; // codewords of a version
const QR_CHECK = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26]; // of these, for correction in each block
const QR_BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5];
const QR_ALIGN = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];

// Reed and Solomon's code over GF(256) by x^8 + x^4 + x^3 + x^2 + 1.
function qrTimes(a, b) {
  let product = 0;
  for (; b; b >>= 1, a = (a << 1) ^ (a & 128 ? 0x11d : 0)) if (b & 1) product ^= a;
  return product;
}

function qrCheck(data, count) {
  let generator = [1];
  for (let i = 0, root = 1; i < count; i++, root = qrTimes(root, 2))
    generator = [...generator, 0].map((c, k) => c ^ (k ? qrTimes(generator[k - 1], root) : 0));
  const rest = [...data, ...Array(count).fill(0)];
  for (let i = 0; i < data.length; i++) {
    const factor = rest[i];
    generator.forEach((c, k) => (rest[i + k] ^= qrTimes(c, factor)));
  }
  return rest.slice(data.length);
}

// The bits with their header, filled up, cut into blocks that take turns, and the checks behind them.
function qrCodewords(bytes, version, room) {
  const wide = version > 8 ? 16 : 8;
  let bits = "0100" + bytes.length.toString(2).padStart(wide, "0");
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  bits += "0".repeat(Math.min(4, room * 8 - bits.length));
  const data = bits.padEnd(Math.ceil(bits.length / 8) * 8, "0").match(/.{8}/g).map((byte) => parseInt(byte, 2));
  for (let pad = 0xec; data.length < room; pad ^= 0xec ^ 0x11) data.push(pad);
  const count = QR_BLOCKS[version], least = Math.floor(room / count), blocks = [];
  for (let i = 0, at = 0; i < count; i++) {
    const size = least + (i >= count - (room % count) ? 1 : 0);
    blocks.push(data.slice(at, (at += size)));
  }
  const turns = (lists) => Array.from({ length: Math.max(...lists.map((list) => list.length)) }, (_, i) =>
    lists.filter((list) => i < list.length).map((list) => list[i])).flat();
  return [...turns(blocks), ...turns(blocks.map((block) => qrCheck(block, QR_CHECK[version])))];
}

// value with the remainder of its division by generator behind it (BCH).
function qrRemainder(value, generator, bits) {
  let rest = value << bits;
  for (let i = 31 - Math.clz32(rest); rest >> bits; i = 31 - Math.clz32(rest)) rest ^= generator << (i - bits);
  return (value << bits) | rest;
}

function qrPatterns(size, version) {
  const grid = Array.from({ length: size }, () => Array(size).fill(null)); // null: free for data
  const square = (row, column, radius, dark) => {
    for (let r = -radius; r <= radius; r++)
      for (let c = -radius; c <= radius; c++)
        if (grid[row + r]?.[column + c] !== undefined) grid[row + r][column + c] = dark(Math.max(Math.abs(r), Math.abs(c)));
  };
  for (let i = 8; i < size - 8; i++) grid[6][i] = grid[i][6] = i % 2 === 0;
  for (const [row, column] of [[3, 3], [3, size - 4], [size - 4, 3]]) square(row, column, 4, (far) => far !== 2 && far !== 4);
  const last = size - 7;
  for (const row of QR_ALIGN[version])
    for (const column of QR_ALIGN[version])
      if (!((row === 6 && (column === 6 || column === last)) || (row === last && column === 6))) square(row, column, 2, (far) => far !== 1);
  const format = qrRemainder(0b00000, 0b10100110111, 10) ^ 0b101010000010010; // level M, mask 0
  for (let i = 0; i < 15; i++) {
    const dark = Boolean((format >> i) & 1);
    grid[i < 6 ? i : i < 8 ? i + 1 : size - 15 + i][8] = dark;
    grid[8][i < 8 ? size - 1 - i : i < 9 ? 7 : 14 - i] = dark;
  }
  grid[size - 8][8] = true;
  const number = version >= 6 ? qrRemainder(version + 1, 0b1111100100101, 12) : 0;
  for (let i = 0; number && i < 18; i++) {
    const dark = Boolean((number >> i) & 1), near = Math.floor(i / 3), far = size - 11 + (i % 3);
    grid[near][far] = grid[far][near] = dark;
  }
  return grid;
}

function qrMatrix(text) {
  const bytes = [...new TextEncoder().encode(text)];
  const rooms = QR_TOTAL.map((total, version) => total - QR_CHECK[version] * QR_BLOCKS[version]);
  const version = rooms.findIndex((room, v) => bytes.length + (v > 8 ? 3 : 2) <= room);
  if (version < 0) return null;
  const size = 21 + 4 * version, grid = qrPatterns(size, version);
  const words = qrCodewords(bytes, version, rooms[version]);
  let at = 0;
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5; // the column of the clock is left out
    for (let i = 0; i < size; i++)
      for (const column of [right, right - 1]) {
        const row = up ? size - 1 - i : i;
        if (grid[row][column] !== null) continue;
        const bit = at < words.length * 8 && (words[at >> 3] >> (7 - (at & 7))) & 1;
        grid[row][column] = Boolean(bit) !== ((row + column) % 2 === 0);
        at++;
      }
  }
  return grid;
}
