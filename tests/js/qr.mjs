// SPDX-License-Identifier: GPL-3.0-or-later
// The page's QR codes, read by another implementation: texts of each length, through node qr.mjs SCRIPT.
import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";
import jsQR from "jsqr";

const qrMatrix = runInThisContext(`${readFileSync(process.argv[2], "utf8")}\nqrMatrix`);

function read(grid) {
  const scale = 4, edge = 4, side = (grid.length + 2 * edge) * scale, pixels = new Uint8ClampedArray(side * side * 4).fill(255);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      if (grid[Math.floor(y / scale) - edge]?.[Math.floor(x / scale) - edge]) pixels.fill(0, (y * side + x) * 4, (y * side + x) * 4 + 3);
  return jsQR(pixels, side, side);
}

const letters = "otpauth://totp/Cairn:ABCDEFGHIJKLMNOPQRSTUVWXYZ234567?secret=&issuer=äß-";
let text = "", sizes = {};
for (let i = 0; ; i++) {
  text += letters[(i * 7) % letters.length];
  const grid = qrMatrix(text);
  if (!grid) break;
  const said = read(grid);
  if (!said || said.data !== text) throw new Error(`${text.length} characters at ${grid.length}: ${said?.data}`);
  sizes[said.version] = new TextEncoder().encode(text).length;
}
console.log(JSON.stringify(sizes));
