// SPDX-License-Identifier: GPL-3.0-or-later
// Runs calls of the JavaScript client and prints their results as JSON: one call, its name and its parameters as JSON being the arguments, or
// without arguments a [name, parameters] a line.
// Bytes travel as {"base64": "..."} in both directions; a file of the disk as {"file": "..."}.
import * as hub from "@huggingface/hub";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

const [, , call, text] = process.argv;

async function toBlob(value) {
  if (value?.base64 !== undefined) return new Blob([Buffer.from(value.base64, "base64")]);
  if (value?.file !== undefined) return new Blob([await readFile(value.file)]);
  return value;
}

async function plain(value) {
  if (value instanceof Blob) return { base64: Buffer.from(await value.arrayBuffer()).toString("base64") };
  if (value?.[Symbol.asyncIterator]) {
    const items = [];
    for await (const item of value) items.push(item);
    return items;
  }
  return value ?? null;
}

async function answer(call, given) {
  const params = { hubUrl: process.env.HF_ENDPOINT, accessToken: process.env.HF_TOKEN || undefined, ...given };
  for (const list of ["files", "operations"]) {
    for (const item of params[list] ?? []) {
      if (item.content !== undefined) item.content = await toBlob(item.content);
    }
  }
  if (params.file) params.file = { path: params.file.path, content: await toBlob(params.file.content) };
  try {
    return { result: await plain(await hub[call](params)) };
  } catch (error) {
    return { error: { message: error.message, status: error.statusCode ?? null } };
  }
}

if (call) {
  console.log(JSON.stringify(await answer(call, JSON.parse(text ?? "{}"))));
} else {
  for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await answer(...JSON.parse(line))));
}
