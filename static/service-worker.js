// Keeps the page's own files for visits without a network. Models are kept elsewhere, by the page itself.
//
// `cargo xtask` writes the page's files and their hash into the next line. A page that was built by Trunk alone has none,
// and is not kept.
const { version, files } = { version: "", files: [] };

const PREFIX = "cmim-page-";
const STORE = PREFIX + version;

/** The build of a worker that this browser does not load is not kept for it. */
function isWanted(file) {
  // A function of `() -> v128` with `f32x4.relaxed_madd`, as in `browser.rs`.
  const relaxed = WebAssembly.validate(new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0,
    65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11,
  ]));
  if (file.includes("-relaxed")) return relaxed;
  const faster = file.replace(/(_bg\.wasm|\.js)$/, "-relaxed$1");
  return faster === file || !files.includes(faster) || !relaxed;
}

self.addEventListener("install", (event) => {
  if (files.length === 0) return;
  const keep = async () => {
    const store = await caches.open(STORE);
    // Past the browser's own cache, which may hold files of an older build.
    await store.addAll(files.filter(isWanted).map((file) => new Request(file, { cache: "no-cache" })));
  };
  event.waitUntil(keep());
});

self.addEventListener("activate", (event) => {
  const tidy = async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== STORE).map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(tidy());
});

// The page and its programs belong together: all come from one build's store, or all from the server.
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  const answer = async () => {
    const store = await caches.open(STORE);
    // The view in the address is the page's own affair.
    const kept = await store.match(event.request, { ignoreSearch: event.request.mode === "navigate" });
    if (kept) return kept;
    const fetched = await fetch(event.request);
    if (fetched.ok && version && url.pathname.includes("/samples/")) {
      // A store without room: the sample works all the same.
      store.put(event.request, fetched.clone()).catch(() => {});
    }
    return fetched;
  };
  event.respondWith(answer());
});
