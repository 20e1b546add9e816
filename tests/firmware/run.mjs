// Run a unittest module in MicroPython's own interpreter.
// Usage: node run.mjs INTERPRETER_FOLDER TEST_MODULE FILE.py...
// Exit code: 0 all passed, 1 a test failed or none ran, 2 used wrongly.
import { createCipheriv, createDecipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, module, ...files] = process.argv.slice(2);
if (files.length === 0) {
  console.error("Usage: node run.mjs INTERPRETER_FOLDER TEST_MODULE FILE.py...");
  process.exit(2);
}
const { loadMicroPython } = await import(pathToFileURL(resolve(folder, "micropython.mjs")));
const python = await loadMicroPython({ heapsize: 4 * 1024 * 1024, stdout: console.log, linebuffer: true });
python.FS.mkdir("/tests");

// This build of MicroPython has no `cryptolib`: for tests, the same class over Node's own AES.
const block = (make) => (key, data) => {
  const cipher = make("aes-128-ecb", Buffer.from(key, "hex"), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(Buffer.from(data, "hex")), cipher.final()]).toString("hex");
};
python.registerJsModule("nodes_aes", { encrypt: block(createCipheriv), decrypt: block(createDecipheriv) });
python.FS.writeFile(
  "/tests/cryptolib.py",
  `
import nodes_aes


class aes:
    def __init__(self, key, mode):
        assert mode == 1
        self._key = bytes(key).hex()
        self._way = None

    def encrypt(self, data):
        return self._run("encrypt", data)

    def decrypt(self, data):
        return self._run("decrypt", data)

    def _run(self, way, data):
        if self._way not in (None, way):
            raise ValueError("can't encrypt & decrypt")
        self._way = way
        return bytes.fromhex(getattr(nodes_aes, way)(self._key, bytes(data).hex()))
`,
);
for (const file of files) python.FS.writeFile(`/tests/${basename(file)}`, readFileSync(file));

try {
  python.runPython(`
import sys, unittest
sys.path.insert(0, "/tests")
print("MicroPython", ".".join(str(n) for n in sys.implementation.version[:3]))
suite = unittest.TestSuite("${module}")
suite._load_module(__import__("${module}"))
result = unittest.TestRunner().run(suite)
if result.testsRun == 0 or not result.wasSuccessful():
    raise SystemExit(1)
`);
} catch (error) {
  console.error(String(error));
  process.exit(1);
}
