// The service worker: caches the wallet's files of one version, so that the page opens without a
// network. It caches no code and no key, and does not touch requests other than GET.

const VERSION = "{version}";
const PATHS = ["{cached_paths}"];
const PAGE = `/v/${VERSION}/index.html`;
const CACHE = `menshen-${VERSION}`;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    await (await caches.open(CACHE)).addAll(PATHS); // all of them or none
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const older = (await caches.keys()).filter((name) => name !== CACHE);
    // the version before stays: a phone may have loaded only half of its page
    await Promise.all(older.slice(0, -1).map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const {origin, pathname} = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== self.location.origin) return;
  if (pathname === "/") event.respondWith(cached(PAGE, event.request));
  if (pathname.startsWith("/v/")) event.respondWith(cached(pathname, event.request));
});

async function cached(path, request) {
  return await caches.match(path) ?? fetch(request);
}
