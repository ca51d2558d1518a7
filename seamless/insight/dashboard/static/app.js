// The page of the dashboard. Whatever comes from a store is put in as text, never as markup.
"use strict";

const main = document.getElementById("main");
const link = document.getElementById("link");

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer;
}

function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${unit && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.floor(value / 60) % 60} min`;
}

const when = (time) => (time ? new Date(time * 1000).toLocaleString("sv-SE") : "–");
const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
const short = (sum) => (sum ? `${sum.slice(0, 12)}…` : "–");

function stepLink(entry) {
  return element("a", { href: `#/step/${entry.tf_checksum}` }, entry.title || short(entry.tf_checksum));
}

// columns: [heading, cell(entry), class]
function table(title, entries, columns, empty, id) {
  const count = element("span", { class: "count" }, ` ${entries.length}`);
  const section = element("section", { id, "aria-label": title }, element("h2", {}, title, entries.length ? count : null));
  if (!entries.length) {
    section.append(element("p", { class: "quiet" }, empty));
    return section;
  }
  const head = element("tr", {}, ...columns.map(([heading, , kind]) => element("th", { scope: "col", class: kind || "" }, heading)));
  const rows = entries.map((entry) => element("tr", {}, ...columns.map(([, cell, kind]) => element("td", { class: kind || "" }, cell(entry)))));
  section.append(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  return section;
}

function figures(list) {
  const box = element("dl", { class: "figures" });
  for (const [name, value, note] of list) {
    box.append(element("div", {}, element("dt", {}, name), element("dd", {}, value, note ? element("small", {}, note) : null)));
  }
  return box;
}

function facts(list) {
  const box = element("dl", { class: "facts" });
  for (const [name, value] of list) box.append(element("dt", {}, name), element("dd", {}, value));
  return box;
}

// --- the first page ------------------------------------------------------------------------------

async function overview() {
  const [store, health] = await Promise.all([get("/api/overview").then((a) => a.json()), cachedServices()]);
  document.getElementById("place").textContent = store.directory;
  const now = Date.now() / 1000;
  const sizes = store.sizes;
  const rate = health.hit_rate;
  return [
    figures([
      ["Running", number(store.running.length)],
      ["Transformations", number(store.transformations), "with a result"],
      ["Buffers", sizes ? number(sizes.buffers) : "…", sizes ? size(sizes.bytes) : "being counted"],
      ["Database", sizes ? size(sizes.database) : "…"],
      ["Cache hits", rate === null ? "–" : `${Math.round(rate * 100)} %`, rate === null ? "counted by jobservers only" : "of what jobservers were asked for"],
    ]),
    table("Running", store.running, [
      ["transformation", stepLink, "what"],
      ["since", (e) => when(e.start)],
      ["for", (e) => seconds(e.start ? now - e.start : null), "number"],
      ["host", (e) => e.host || "–"],
      ["process", (e) => String(e.pid || "–"), "number"],
    ], "Nothing is being executed.", "running"),
    table("Failures", store.failures, [
      ["transformation", stepLink, "what"],
      ["when", (e) => when(e.time)],
      ["status", (e) => element("span", { class: "bad" }, e.exit_status === null ? "error" : `exit ${e.exit_status}`)],
      ["host", (e) => e.host || "–"],
      ["last line", (e) => lastLine(e.stderr || e.error), "what"],
    ], "Nothing has failed.", "failures"),
    table("Recent results", store.recent, [
      ["transformation", stepLink, "what"],
      ["stored", (e) => when(e.stored)],
      ["time", (e) => seconds(e.seconds), "number"],
      ["memory", (e) => size(e.memory), "number"],
      ["executed", (e) => [e.mode, e.host].filter(Boolean).join(" on ") || "–"],
      ["result", (e) => element("a", { href: `#/buffer/${e.result_checksum}` }, short(e.result_checksum))],
    ], "No results yet.", "recent"),
    table("Services", health.services, [
      ["service", (e) => e.link ? element("a", { href: e.link, rel: "noreferrer" }, `${e.service} (Dask’s own pages)`) : e.service],
      ["health", (e) => element("span", { class: e.health === "ok" ? "ok" : "bad" }, e.health)],
      ["cluster", (e) => e.cluster || "–"],
      ["project", (e) => e.project || "–"],
      ["at", (e) => `${e.host || "127.0.0.1"}:${e.port || "–"}`],
      ["executed", (e) => number(e.counts.executed), "number"],
      ["cached", (e) => number(e.counts.cached), "number"],
      ["problem", (e) => e.problem || ""],
    ], "The launcher knows of no services on this machine.", "services"),
  ];
}

function lastLine(text) {
  const lines = (text || "").trimEnd().split("\n");
  return lines[lines.length - 1].slice(0, 200);
}

let known = null;
let asked = 0;
async function cachedServices() {
  if (!known || Date.now() - asked > 10000) {
    asked = Date.now();
    known = await get("/api/services").then((a) => a.json());
  }
  return known;
}

// --- one step, one buffer ------------------------------------------------------------------------

async function step(name) {
  const page = await get(`/api/step/${name}`).then((a) => a.json());
  const parts = [element("p", {}, element("a", { href: "#/" }, "← Overview")), element("p", { class: "title" }, page.title || "Transformation")];
  for (const failure of page.failures.slice(0, 3)) {
    const status = failure.exit_status === null ? "" : ` with exit status ${failure.exit_status}`;
    const section = element("section", { class: "failure" },
      element("h2", { class: "bad" }, `Failed${status}, ${when(failure.time)} on ${failure.host}`));
    section.append(element("pre", {}, failure.stderr || failure.error));
    parts.push(section);
  }
  const found = page.explanation;
  if (!found) {
    parts.push(element("p", { class: "quiet" }, page.problem || "Its definition is not stored: nothing more is known."));
    return parts;
  }
  const record = found.record || {};
  parts.push(section("Transformation", facts([
    ["checksum", element("code", {}, found.tf_checksum)],
    ["state", { cached: "cached", known: "known; its content is to be computed again", unknown: "no result" }[found.state]],
    ["result", found.result_checksum ? element("a", { href: `#/buffer/${found.result_checksum}` }, element("code", {}, found.result_checksum)) : "–"],
    ["language", found.language],
    ["time", seconds(record.wall_time_seconds)],
    ["memory", size(record.memory_peak_bytes)],
    ["host", record.hostname || "–"],
  ])));
  const code = found.pins.code && found.pins.code.value;
  if (code) parts.push(section("Code", element("pre", {}, code)));
  const pins = Object.entries(found.pins).filter(([pin]) => pin !== "code").map(([pin, value]) => ({ pin, ...value }));
  parts.push(table("Inputs", pins, [
    ["pin", (e) => e.pin],
    ["celltype", (e) => e.celltype],
    ["value", (e) => e.value || "", "what"],
    ["buffer", (e) => e.checksum ? element("a", { href: `#/buffer/${e.checksum}` }, short(e.checksum)) : "–"],
  ], "It has no inputs.", "inputs"));
  const why = section("Why it runs, or does not");
  why.id = "why";
  if (found.reasons.length) why.append(element("ul", {}, ...found.reasons.map((line) => element("li", {}, line))));
  for (const relative of found.relatives) {
    why.append(element("p", {}, "Compared with ", element("a", { href: `#/step/${relative.tf_checksum}` }, short(relative.tf_checksum)), ":"));
    why.append(element("ul", {}, ...relative.differences.map((one) => element("li", {},
      `${one.kind} ${one.kind === one.name ? "" : one.name} ${one.change}`, one.details.length ? element("pre", {}, one.details.join("\n")) : null))));
  }
  if (!found.reasons.length && !found.relatives.length) why.append(element("p", { class: "quiet" }, "Nothing like it is cached here."));
  parts.push(why, await provenance(name));
  return parts;
}

function section(title, ...children) {
  return element("section", { "aria-label": title }, element("h2", {}, title), ...children);
}

async function buffer(name) {
  return [element("p", {}, element("a", { href: "#/" }, "← Overview")), element("p", { class: "title" }, `Buffer ${name}`), await provenance(name)];
}

async function provenance(name) {
  const text = await get(`/api/provenance/${name}`).then((a) => a.text());
  const drawn = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const box = element("div", { class: "picture" }, document.importNode(drawn, true));
  const made = section("Provenance", box);
  made.id = "provenance";
  return made;
}

// --- where we are --------------------------------------------------------------------------------

let shown = 0;
async function show(moved) {
  const turn = ++shown;
  const [, kind, name] = location.hash.match(/^#\/(step|buffer)\/([0-9a-f]{64})$/) || [];
  let parts;
  try {
    parts = await (kind === "step" ? step(name) : kind === "buffer" ? buffer(name) : overview());
  } catch (error) {
    parts = [element("p", { class: "bad", role: "alert" }, String(error.message))];
  }
  if (turn !== shown) return;
  main.replaceChildren(...parts);
  for (const box of main.querySelectorAll(".picture")) box.scrollLeft = box.scrollWidth;
  if (moved) { window.scrollTo(0, 0); main.focus({ preventScroll: true }); }
}

window.addEventListener("hashchange", () => show(true));
const events = new EventSource("/events");
events.addEventListener("open", () => { link.textContent = "live"; link.className = "live"; });
events.addEventListener("error", () => { link.textContent = "connection lost"; link.className = "lost"; });
events.addEventListener("change", () => { if (!location.hash.match(/^#\/(step|buffer)\//)) show(false); });
setInterval(() => { if (!document.hidden && !location.hash.match(/^#\/(step|buffer)\//)) show(false); }, 15000);
show(false);
