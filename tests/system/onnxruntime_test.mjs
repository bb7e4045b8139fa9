// Goal: another runtime computes the same results from our exported models as we do.
// Method: tests/unit/compute/onnx_export_test.cpp writes files into a folder, each with samples and our
// scores. onnxruntime reads them. Its package is in the folder STARLING_ONNXRUNTIME (with node_modules);
// without it the test is skipped with exit code 77.
//
//   node onnxruntime_test.mjs FOLDER
import { createRequire } from "node:module";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = process.env.STARLING_ONNXRUNTIME ?? process.cwd();
let ort;
try {
    ort = createRequire(join(root, "package.json"))("onnxruntime-node");
} catch {
    console.log(`onnxruntime-node is not in ${root}: npm install onnxruntime-node there, skipped`);
    process.exit(77);
}

const folder = process.argv[2];
const read = (name) => readFileSync(join(folder, name));
const floats = (name) => {
    const bytes = read(name);
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

let wrong = 0;
const models = readdirSync(folder).filter((name) => name.endsWith(".onnx")).sort();
for (const file of models) {
    const name = file.slice(0, -5);
    const session = await ort.InferenceSession.create(join(folder, file));
    const shape = read(`${name}.shape`).toString().split(",").map(Number);
    const values = new ort.Tensor("float32", floats(`${name}.values`), shape);
    const scores = (await session.run({ values })).scores.data;
    const expected = floats(`${name}.scores`);
    let worst = scores.length === expected.length ? 0 : Infinity;
    expected.forEach((value, i) => { worst = Math.max(worst, Math.abs(value - scores[i])); });
    const good = worst <= 1e-4;
    if (!good) ++wrong;
    console.log(`${good ? "ok   " : "WRONG"} ${name}: largest difference ${worst.toExponential(2)}`);
}
if (models.length < 6) {
    console.log(`only ${models.length} models in ${folder}`);
    ++wrong;
}
process.exit(wrong === 0 ? 0 : 1);
