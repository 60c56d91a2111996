"use strict";
/* Builds the page from its data. Texts become text nodes, never markup; links only if they are http(s). */
const data = JSON.parse(document.getElementById("data").textContent);
const PAGE_ROWS = 25, PRINTED_ROWS = 500;
const NUMBER = new Intl.NumberFormat("en"), RATES = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const byId = (id) => document.getElementById(id);
const many = (count, one, more) => `${NUMBER.format(count)} ${count === 1 ? one : more}`;

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "share") made.style.setProperty("--share", `${Math.round(value * 1000) / 10}%`);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

function link(url, text = url) {
  return /^https?:\/\//i.test(url) ? element("a", { href: url, rel: "noreferrer noopener nofollow" }, text) : document.createTextNode(text);
}

function linked(text) {
  return text.split(/(https?:\/\/\S*[^\s.,;:)])/).map((part, index) => (index % 2 ? link(part) : part));
}

function bytes(size) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) { size /= 1000; unit += 1; }
  return `${size >= 100 || unit === 0 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

function duration(seconds) {
  const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor((whole % 3600) / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(part && part / whole < 0.001 ? 2 : 1)} %` : "–");
const words = (kind) => (data.kinds[kind] || { words: kind }).words;
const utc = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");

/* ---- head and totals ---- */
const totals = data.totals;
document.title = `${data.name}: ray_downloader report`;
byId("name").textContent = data.name;
byId("about").textContent = [`Run ${data.state}`, `report of ${data.made_at.replace("T", " ").replace("+00:00", " UTC")}`,
  `list ${data.input}`, data.dataset ? `read as ${data.dataset}` : "", data.contact ? `contact ${data.contact}` : ""].filter(Boolean).join(" · ");
byId("made").textContent = `Made by ray_downloader ${data.version}. This file loads nothing from any network.`;

function tile(label, value, note) {
  byId("totals").append(element("div", {}, element("dt", {}, label), element("dd", {}, value, note ? element("small", {}, note) : null)));
}
tile("Images", NUMBER.format(totals.images), `${percent(totals.images, totals.input)} of ${NUMBER.format(totals.input)} rows`);
tile("Errors", NUMBER.format(totals.errors), percent(totals.errors, totals.input));
tile("Rejected", NUMBER.format(totals.rejected), "never requested");
tile("Left", NUMBER.format(totals.left), totals.left ? "no final answer yet" : "every row is settled");
tile("Servers", NUMBER.format(totals.servers));
tile("Stored", bytes(totals.stored_bytes), totals.received_bytes ? `${bytes(totals.received_bytes)} received in the last run` : "");
if (totals.seconds) tile("Speed", `${NUMBER.format(totals.images_per_s)}/s`, `images, over ${duration(totals.seconds)} of the last run`);

function stack(parts, target) {
  const whole = parts.reduce((sum, part) => sum + part[1], 0);
  const bar = element("div", { class: "stack", "aria-hidden": "true" });
  const legend = element("ul", { class: "legend" });
  for (const [label, count, colour] of parts) {
    if (!count) continue;
    const piece = element("span", { class: `f${colour}` });
    piece.style.width = `${100 * count / whole}%`;
    bar.append(piece);
    legend.append(element("li", {}, element("i", { class: `f${colour}` }), `${label} ${NUMBER.format(count)} (${percent(count, whole)})`));
  }
  target.append(bar, legend);
}
stack([["images", totals.images, 0], ["errors", totals.errors, 1], ["rejected", totals.rejected, 3], ["left", totals.left, 7]], byId("outcomes"));

for (const sentence of data.read_as) byId("notes").append(element("li", {}, sentence));
if (totals.robots_disallowed) byId("notes").append(element("li", {}, `robots.txt would exclude ${many(totals.robots_disallowed, "row", "rows")}; politeness.robots=obey leaves them out.`));
if (totals.base) byId("notes").append(element("li", {}, `Earlier runs: ${totals.base}.`));
if (totals.checksums.ok || totals.checksums.wrong) byId("notes").append(element("li", {}, `Checksums of the list: ${NUMBER.format(totals.checksums.ok || 0)} images agree, ${NUMBER.format(totals.checksums.wrong || 0)} do not.`));

/* ---- table of servers ---- */
const [NAME, ROWS, IMAGES, ERRORS, LEFT, RATE, REQUESTS, REFUSALS, STATE, KINDS, SAID, WORDS, ADVICE] = Array(13).keys();
const failedShare = (line) => (line[ROWS] ? line[ERRORS] / line[ROWS] : 0);
const mainError = (line) => Object.entries(line[KINDS]).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0];
const stateOf = (line) => (data.waiting[line[NAME]] ? "waits" : line[STATE] || "");
const COLUMNS = [
  { title: "Server", key: (line) => line[NAME], fixed: true },
  { title: "Rows", key: (line) => line[ROWS], number: true, wide: true },
  { title: "Images", key: (line) => line[IMAGES], number: true, meter: (line) => line[IMAGES] / line[ROWS] },
  { title: "Errors", key: (line) => line[ERRORS], number: true, meter: failedShare, bad: true },
  { title: "% errors", key: failedShare, number: true, text: (line) => percent(line[ERRORS], line[ROWS]), wide: true },
  { title: "Left", key: (line) => line[LEFT], number: true, wide: true, hidden: !totals.left },
  { title: "Requests/s", key: (line) => line[RATE] ?? -1, number: true, text: (line) => (line[RATE] === null ? "–" : RATES.format(line[RATE])), wide: true },
  { title: "Requests", key: (line) => line[REQUESTS], number: true, wide: true, hidden: true },
  { title: "Refusals", key: (line) => line[REFUSALS], number: true, wide: true },
  { title: "State", key: stateOf, wide: true },
  { title: "Mostly", key: (line) => (mainError(line) ? mainError(line)[0] : ""), wide: true },
];
const isNarrow = matchMedia("(max-width: 40rem)").matches;
const shownColumns = new Set(COLUMNS.filter((column) => !column.hidden && !(isNarrow && column.wide)));
const view = { sort: COLUMNS[ERRORS], isDescending: true, page: 0, open: new Set(), rows: [], size: PAGE_ROWS };
const haystacks = data.servers.map((line) => [line[NAME], stateOf(line), line[SAID], ...Object.keys(line[KINDS]), ...Object.keys(line[KINDS]).map(words),
  ...line[WORDS].map((said) => said[3]), ...line[ADVICE]].join("\n").toLowerCase());

function select() {
  const sought = byId("filter").value.trim().toLowerCase(), onlyAdvice = byId("only-advice").checked;
  const key = view.sort.key, order = view.isDescending ? -1 : 1;
  view.rows = data.servers.filter((line, index) => (!onlyAdvice || line[ADVICE].length) && (!sought || haystacks[index].includes(sought)));
  view.rows.sort((one, other) => { const a = key(one), b = key(other); return (a < b ? -1 : a > b ? 1 : 0) * order || (one[NAME] < other[NAME] ? -1 : 1); });
  view.page = 0;
  draw();
}

function draw() {
  const columns = COLUMNS.filter((column) => shownColumns.has(column));
  const first = view.page * view.size, rows = view.rows.slice(first, first + view.size);
  const head = element("tr");
  for (const column of columns) {
    const isSorted = column === view.sort;
    head.append(element("th", { scope: "col", class: column.number ? "number" : "", "aria-sort": isSorted ? (view.isDescending ? "descending" : "ascending") : null },
      element("button", { type: "button", onclick: () => sortBy(column) }, column.title)));
  }
  const body = element("tbody");
  for (const line of rows) {
    body.append(row(line, columns));
    if (view.open.has(line)) body.append(detail(line, columns.length));
  }
  if (!rows.length) body.append(element("tr", {}, element("td", { colspan: columns.length }, "No server matches.")));
  byId("table").replaceChildren(element("caption", { class: "hidden" }, "Servers of the run"), element("thead", {}, head), body);
  byId("shown").textContent = rows.length ? `${NUMBER.format(first + 1)}–${NUMBER.format(first + rows.length)} of ${many(view.rows.length, "server", "servers")}` : "";
  byId("previous").disabled = view.page === 0;
  byId("following").disabled = first + view.size >= view.rows.length;
}

function sortBy(column) {
  view.isDescending = column === view.sort ? !view.isDescending : Boolean(column.number);
  view.sort = column;
  select();
  [...byId("table").querySelectorAll("thead button")].find((button) => button.textContent === column.title)?.focus();
}

function row(line, columns) {
  const made = element("tr");
  for (const column of columns) {
    if (column.fixed) { made.append(element("th", { scope: "row", class: "name" }, nameButton(line))); continue; }
    const value = column.key(line), text = column.text ? column.text(line) : column.number ? NUMBER.format(value) : value;
    const cell = element("td", { class: [column.number ? "number" : "", column.meter ? "meter" : "", column.bad ? "bad" : ""].join(" ").trim() || null });
    if (column.meter) cell.style.setProperty("--share", `${Math.round(1000 * (column.meter(line) || 0)) / 10}%`);
    if (column.title === "State" && text) cell.append(element("span", { class: `tag ${text === "healthy" ? "good" : "bad"}` }, text));
    else cell.append(text);
    made.append(cell);
  }
  return made;
}

function nameButton(line) {
  const isOpen = view.open.has(line);
  return element("button", { type: "button", "aria-expanded": String(isOpen), onclick: () => toggle(line) }, line[NAME]);
}

function toggle(line) {
  if (!view.open.delete(line)) view.open.add(line);
  draw();
  [...byId("table").querySelectorAll(".name button")].find((button) => button.textContent === line[NAME])?.focus();
}

function detail(line, width) {
  const grid = element("div", { class: "detail-grid" });
  const add = (title, ...content) => grid.append(element("div", {}, element("h3", {}, title), ...content));
  const list = (items) => element("ul", {}, ...items.map((item) => element("li", {}, ...item)));
  const kinds = Object.entries(line[KINDS]).sort((a, b) => b[1] - a[1]);
  if (line[ADVICE].length) add("What to do", list(line[ADVICE].map((text) => [text])));
  if (kinds.length) add("Errors by kind", list(kinds.map(([kind, count]) => [`${NUMBER.format(count)} ${kind}: ${words(kind)}`])));
  if (line[WORDS].length) {
    add("In its own words", list(line[WORDS].map(([kind, status, count, text, url]) => [`${status ? `HTTP ${status}, ` : ""}${many(count, "row", "rows")}: `,
      text ? element("q", {}, text) : kind, url ? element("br") : null, url ? link(url) : null])));
  }
  const wait = data.waiting[line[NAME]], learned = [];
  if (wait) learned.push([`Waits (${wait.reason})${wait.until ? ` until ${wait.until}` : ""}${wait.said ? `: ${wait.said}` : ""}`]);
  if (line[SAID]) learned.push(["It said: ", element("q", {}, line[SAID])]);
  learned.push([line[RATE] === null ? "No rate was learned." : `Learned rate: ${RATES.format(line[RATE])} requests/s`]);
  learned.push([`${many(line[REQUESTS], "request", "requests")} in the last run, ${many(line[REFUSALS], "refusal", "refusals")}`]);
  if (line[LEFT]) learned.push([`${many(line[LEFT], "row", "rows")} left`]);
  add("Its budget", list(learned));
  return element("tr", { class: "detail" }, element("td", { colspan: width }, grid));
}

async function copy(text, button) {
  const before = button.textContent;
  try { await navigator.clipboard.writeText(text); }
  catch {
    const area = element("textarea", { class: "hidden", "aria-hidden": "true" });
    area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
}

function tableText() {
  const columns = COLUMNS.filter((column) => shownColumns.has(column));
  const cell = (value) => { const text = String(value).replace(/[\t\n\r]/g, " "); return /^[=+@-]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text; };
  const lines = view.rows.map((line) => columns.map((column) => cell(column.key(line))).join("\t"));
  return [columns.map((column) => column.title).join("\t"), ...lines].join("\n");
}

for (const column of COLUMNS) {
  if (column.fixed) continue;
  const box = element("input", { type: "checkbox", onchange: () => { if (!shownColumns.delete(column)) shownColumns.add(column); draw(); } });
  box.checked = shownColumns.has(column);
  byId("column-list").append(element("label", {}, box, column.title));
}
byId("filter").addEventListener("input", select);
byId("only-advice").addEventListener("change", select);
byId("copy").addEventListener("click", (event) => copy(tableText(), event.currentTarget));
byId("previous").addEventListener("click", () => { view.page -= 1; draw(); });
byId("following").addEventListener("click", () => { view.page += 1; draw(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && byId("columns").open) { byId("columns").open = false; byId("columns").querySelector("summary").focus(); } });
document.addEventListener("click", (event) => { if (!byId("columns").contains(event.target)) byId("columns").open = false; });
addEventListener("beforeprint", () => { view.size = PRINTED_ROWS; view.page = 0; draw(); });
addEventListener("afterprint", () => { view.size = PAGE_ROWS; draw(); });
select();

/* ---- why rows have no image ---- */
function simpleTable(headings, rows, numbers, caption) {
  const head = element("tr", {}, ...headings.map((title, index) => element("th", { scope: "col", class: numbers.has(index) ? "number" : "" }, title)));
  const body = element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell, index) =>
    element(index === 0 ? "th" : "td", { scope: index === 0 ? "row" : null, class: numbers.has(index) ? "number" : index === 0 ? "name" : "" }, ...(Array.isArray(cell) ? cell : [cell]))))));
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": caption },
    element("table", { class: "simple" }, element("caption", { class: "hidden" }, caption), element("thead", {}, head), body));
}
{
  const rows = data.errors.map(([kind, count]) => [kind, NUMBER.format(count), words(kind), data.kinds[kind].may_pass ? element("span", { class: "tag good" }, "may pass") : "", data.kinds[kind].todo]);
  for (const [reason, count] of data.rejected) rows.push([reason, NUMBER.format(count), "rejected before any request", "", "urls/rejected.parquet names file and line."]);
  byId("why-content").append(rows.length ? simpleTable(["Kind", "Rows", "What it is", "Retry", "What to do"], rows, new Set([1]), "Errors and rejected rows by kind")
    : element("p", { class: "note" }, "Every row has an image."));
}

/* ---- over time ---- */
const partly = (share, what, which) => (share.is_whole ? "" : `${NUMBER.format(share.rows)} of ${NUMBER.format(share.of_rows)} ${what}: those in ${NUMBER.format(share.files)} of ${NUMBER.format(share.of_files)} files, ${which}.`);
{
  const target = byId("time-content"), series = Object.entries(data.time.rows).map(([kind, counts]) => [kind, counts, counts.reduce((a, b) => a + b, 0)]);
  const images = series.filter(([kind]) => kind === "success"), errors = series.filter(([kind]) => kind !== "success").sort((a, b) => b[2] - a[2]);
  const shown = errors.slice(0, 6), rest = errors.slice(6);
  if (rest.length) shown.push([`${rest.length} more kinds`, rest[0][1].map((_, step) => rest.reduce((sum, each) => sum + each[1][step], 0)), 0]);
  if (!series.length) target.append(element("p", { class: "note" }, "No finished batch has a time yet."));
  if (images.length) target.append(element("h3", {}, "Images"), chart([["images", images[0][1], 0]], "Images over time"));
  if (shown.length) target.append(element("h3", {}, "Errors by kind"), chart(shown.map(([kind, counts], index) => [kind, counts, 1 + index % 7]), "Errors over time, by kind"));
  const basis = [partly(data.images_read, "images", "drawn at random"), partly(data.errors_read, "errors", "those with the most")].filter(Boolean).join(" ");
  if (basis) target.append(element("p", { class: "quiet" }, basis));
}

function chart(series, label) {
  const steps = series[0][1].length, width = 960, height = 170, left = 56, bottom = 24;
  const sums = Array.from({ length: steps }, (_, step) => series.reduce((sum, each) => sum + each[1][step], 0));
  const top = Math.max(...sums, 1), unit = (width - left) / steps, scale = (height - bottom - 12) / top;
  const svg = (name, attributes, text) => { const made = document.createElementNS("http://www.w3.org/2000/svg", name); for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value); if (text) made.textContent = text; return made; };
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${label}: at most ${NUMBER.format(top)} in ${duration(data.time.step_s)}; the table below has the figures` });
  for (const share of [0, 0.5, 1]) {
    const y = height - bottom - share * top * scale;
    picture.append(svg("line", { x1: left, x2: width, y1: y, y2: y }), svg("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, share === 0.5 && top < 2 ? "" : NUMBER.format(Math.round(share * top))));
  }
  for (let step = 0; step < steps; step += 1) {
    let y = height - bottom;
    for (const [, counts, colour] of series) {
      if (!counts[step]) continue;
      y -= counts[step] * scale;
      picture.append(svg("rect", { x: left + step * unit + 0.5, y, width: Math.max(1, unit - 1), height: counts[step] * scale, class: `f${colour}` }));
    }
  }
  const at = (step) => utc(data.time.start_s + step * data.time.step_s);
  picture.append(svg("text", { x: left, y: height - 6 }, `${at(0)} UTC`), svg("text", { x: width, y: height - 6, "text-anchor": "end" }, `${at(steps)} UTC`));
  const legend = element("ul", { class: "legend" }, ...series.map(([kind, , colour]) => element("li", {}, element("i", { class: `f${colour}` }), kind)));
  const rows = sums.map((sum, step) => [at(step), ...series.map((each) => NUMBER.format(each[1][step]))]).filter((_, step) => sums[step]);
  const table = element("details", { class: "plain" }, element("summary", {}, "The figures as a table"));
  table.addEventListener("toggle", () => { if (table.open && table.children.length === 1) table.append(simpleTable(["From (UTC)", ...series.map((each) => each[0])], rows, new Set(series.map((_, index) => index + 1)), label)); });
  return element("div", { class: "chart" }, picture, series.length > 1 ? legend : null, table);
}

/* ---- images ---- */
byId("images-basis").textContent = data.images_read.rows ? partly(data.images_read, "images", "drawn at random") || `Of ${many(data.images_read.rows, "image", "images")} in finished batches.` : "No finished batch has an image yet.";
for (const { title, bars, more } of data.shares) {
  if (!bars.length) continue;
  const most = Math.max(...bars.map((bar) => bar[1])), whole = bars.reduce((sum, bar) => sum + bar[1], 0) + more[1];
  const table = element("table", { class: "bars" }, element("caption", { class: "hidden" }, title));
  const body = element("tbody");
  for (const [label, count] of bars) {
    body.append(element("tr", {}, element("th", { scope: "row" }, ...linked(label)), element("td", { class: "fill" }, element("i", { share: count / most })),
      element("td", { class: "number" }, NUMBER.format(count)), element("td", { class: "number quiet" }, percent(count, whole))));
  }
  if (more[0]) body.append(element("tr", {}, element("th", { scope: "row" }, `${NUMBER.format(more[0])} more`), element("td"), element("td", { class: "number" }, NUMBER.format(more[1])), element("td", { class: "number quiet" }, percent(more[1], whole))));
  table.append(body);
  byId("shares").append(element("div", {}, element("h3", {}, title), table));
}
byId("sheet-note").textContent = data.pictures.length
  ? { open: "Random images whose licence allows them to be passed on; others are left out.", all: "Random images of any licence: for your own eyes, not to be passed on." }[data.pictures_shown] || ""
  : { open: "No image that was looked at has a licence that allows it to be passed on; --pictures all shows others, for your own eyes.", none: "Left out at your order.", all: "There is no image yet." }[data.pictures_shown];
for (const { source, title, url, license, license_text: text } of data.pictures) {
  if (!source.startsWith("data:image/jpeg;base64,")) continue;
  let host = "";
  try { host = new URL(url).host; } catch { host = ""; }
  byId("sheet").append(element("li", {}, element("figure", {}, element("img", { src: source, alt: title || `Image from ${host || "the list"}`, width: 150, height: 150 }),
    element("figcaption", {}, title ? `${title} · ` : "", url ? link(url, host) : "", " · ", link(text, license)))));
}

/* ---- missing, cite, commands ---- */
{
  const rows = data.missing.map(({ server, rows: count, kind, publisher, dataset, ask }) => [server, NUMBER.format(count), words(kind),
    [...(publisher ? linked(publisher) : []), ...(dataset ? [publisher ? " · " : "", link(`https://www.gbif.org/dataset/${encodeURIComponent(dataset)}`, "GBIF dataset and its contacts")] : [])], ask]);
  byId("missing-content").append(rows.length ? simpleTable(["Server", "Rows", "Mostly", "From", "Ask"], rows, new Set([1]), "Servers with rows without an image, and whom to ask") : element("p", { class: "note" }, "Nothing that was requested is missing."));
  if (rows.length) byId("missing-content").append(element("p", { class: "quiet" }, "errors.parquet beside the images has every row, with its URL and uuid."));
}
byId("cite-content").append(element("p", {}, ...linked(data.cite.list)));
if (data.cite.datasets.length) {
  byId("cite-content").append(simpleTable(["Dataset", "Images"], data.cite.datasets.map(([key, url, count]) => [[link(url, key)], NUMBER.format(count)]), new Set([1]), "Datasets to cite"));
  if (data.cite.more_datasets) byId("cite-content").append(element("p", { class: "quiet" }, `and ${many(data.cite.more_datasets, "dataset", "datasets")} more: column datasetKey`));
}
byId("cite-content").append(element("p", {}, ...linked(data.cite.program)));
for (const [label, command] of data.commands) {
  byId("commands").append(element("p", { class: "command-label" }, label),
    element("pre", {}, element("code", {}, command), element("button", { type: "button", "aria-label": `Copy the command: ${label}`, onclick: (event) => copy(command, event.currentTarget) }, "Copy")));
}
