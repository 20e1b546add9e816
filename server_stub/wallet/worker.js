// The service worker: keeps the wallet's files of one version, so that the page opens without a
// network. It keeps no code and no key, and sees no request that changes anything.

const VERSION = "{version}";
const KEPT = ["{kept}"];
const PAGE = `/v/${VERSION}/index.html`;
const CACHE = `menshen-${VERSION}`;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    await (await caches.open(CACHE)).addAll(KEPT); // all of them or none
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const older = (await caches.keys()).filter((name) => name !== CACHE);
    // the version before stays: a page of it may be half loaded
    await Promise.all(older.slice(0, -1).map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const {origin, pathname} = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== self.location.origin) return;
  if (pathname === "/") event.respondWith(kept(PAGE, event.request));
  if (pathname.startsWith("/v/")) event.respondWith(kept(pathname, event.request));
});

async function kept(path, request) {
  return await caches.match(path) ?? fetch(request);
}
