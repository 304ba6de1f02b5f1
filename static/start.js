// Starts the page's program; the build writes the names of its two files into the script element.
const { js, wasm } = document.querySelector("script[data-js]").dataset;
try {
  const { default: init } = await import(js);
  await init({ module_or_path: wasm });
} catch (error) {
  const boot = document.getElementById("boot");
  if (boot) {
    boot.textContent = `The page could not be started in this browser (${error.message}). It needs WebAssembly with SIMD.`;
  }
  throw error;
}
