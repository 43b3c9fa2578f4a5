// Asks the rig for its state a few times a second and draws what has changed.

import { drawCurves, drawFrame, drawHistogram, drawMap } from "./charts.js";
import { Relief } from "./relief.js";
import { request } from "./request.js";
import { showSetup } from "./setup.js";

const POLL_MS = 250, OLD_S = 3;
const PHASES = {
  idle: ["at rest", ""], starting: ["starting", "active"], scanning: ["scanning", "active"],
  moving: ["moving the stage", "active"], sweeping: ["looking for the sample", "active"],
  halting: ["stopping the stage", "ending"], waiting: ["between scans", "active"], stopping: ["ending after this scan", "ending"],
  aborting: ["stopping the stage", "ending"], ended: ["run ended", ""], aborted: ["stopped by the user", "fault"],
  fault: ["fault", "fault"],
};
const STYLES = [
  { colour: "#e8eaed", dash: [] }, { colour: "#56b4e9", dash: [] }, { colour: "#e69f00", dash: [] },
  { colour: "#2fc28f", dash: [] }, { colour: "#e58fc0", dash: [6, 3] }, { colour: "#f0765a", dash: [6, 3] },
  { colour: "#f0e442", dash: [6, 3] }, { colour: "#a9a3ff", dash: [2, 3] },
];
const $ = (id) => document.getElementById(id);
const relief = new Relief($("relief"), $("relief-labels"));
const drawn = {}; // what each figure shows: its version, and how to draw it again
let state = null, rows = "";

function put(id, text, warned) {
  const place = $(id);
  if (place.textContent !== text) place.textContent = text;
  if (warned !== undefined) place.classList.toggle("warned", warned);
}

function bytes(count) {
  if (count === null) return "–";
  for (const [unit, size] of [["TB", 1e12], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])
    if (count >= size) return `${(count / size).toPrecision(3)} ${unit}`;
  return `${Math.round(count)} B`;
}

function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 120) return `${Math.ceil(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.floor(seconds / 86400)} days`;
}

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const short = (scan) => scan.replace(/\.raw$/, "");
const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

async function watch() {
  try {
    state = await (await request("/state")).json();
    lost(null);
    show(state);
  } catch (error) {
    if (error.name !== "AbortError") lost(error);
  }
  setTimeout(watch, POLL_MS);
}

function lost(error) {
  document.body.classList.toggle("lost-rig", error !== null);
  if (error === null) { $("lost").hidden = true; return; }
  if ($("lost").hidden) {
    const since = new Date().toLocaleTimeString();
    put("lost", `No answer from the rig since ${since}: the values shown are old. ${error.message}`);
    $("lost").hidden = false;
  }
  for (const one of document.querySelectorAll("#start, #stop, #setup :is(button, input)")) one.disabled = true;
}

function show(now) {
  const [phase, kind] = PHASES[now.phase];
  put("phase", phase);
  $("phase").className = `phase ${kind}`;
  put("message", now.said);
  $("message").className = `message ${kind}`;
  $("start").disabled = now.running || now.moving;
  $("stop").disabled = !now.running || now.phase === "stopping" || now.phase === "aborting";
  showNumbers(now);
  showFrame(now);
  showSetup(now);
  showSurfaces(now.surfaces, now);
  showScans(now);
  put("folder", now.folder);
  put("devices", `${now.camera} · ${now.stage}`);
}

function showNumbers({ plan, frame, disk, ...now }) {
  const incomplete = now.scans_taken - now.scans_complete;
  put("scans", String(now.scans_before + now.scans_taken));
  const completeness = incomplete ? `${plural(incomplete, "scan")} incomplete` : "all complete";
  const earlier = now.scans_before ? `${now.scans_before} before this run` : "";
  const told = [now.scans_taken ? completeness : "", earlier].filter(Boolean).join("; ");
  put("complete", told, incomplete > 0);
  const scanning = frame && !frame.preview;
  put("number", scanning ? `${frame.number}${frame.of ? ` / ${frame.of}` : ""}` : "–");
  put("total", `${plural(now.frames_taken, "frame")} taken`);
  const z = scanning ? frame.z_um : now.z_um;
  put("z", z === null ? "–" : `${z.toFixed(1)} µm`);
  put("range", `${plan.from_um.toFixed(1)} to ${plan.to_um.toFixed(1)} µm`);
  put("frame-rate", now.running ? `${now.frames_per_s.toFixed(1)} /s` : "–");
  put("planned", `${plan.frames_per_s.toFixed(0)} /s planned`);
  put("rate", now.running ? `${bytes(disk.bytes_per_s)}/s` : "–");
  put("free", `${bytes(disk.free_bytes)} free`);
  const fits = disk.full_in_s === null || disk.run_ends_in_s === null || disk.full_in_s > disk.run_ends_in_s;
  put("full", disk.full_in_s === null ? "" : `full in ${duration(disk.full_in_s)}`, !fits);
  put("ends", duration(disk.run_ends_in_s));
  put("duration", `of a run of ${duration(disk.duration_s)}`);
}

/** Fetch a picture when its version has changed, one at a time, and draw it now and whenever the size changes. */
async function figure(name, version, fetched) {
  const known = (drawn[name] ??= { version: null, busy: false, draw: () => {} });
  if (known.busy || known.version === version) return;
  known.busy = true;
  try {
    known.draw = await fetched();
    known.version = version;
    $(name).parentElement.removeAttribute("data-none");
    known.draw();
  } catch {
    // Gone already, or not in time: the next state brings the next version.
  } finally {
    known.busy = false;
  }
}

const picture = async (path) => createImageBitmap(await (await request(path)).blob());

function showFrame({ frame, plan, phase, no_preview: none }) {
  if (!frame) {
    put("frame-caption", none ? `no frames until a run starts: ${none}` : "no frame yet");
    return;
  }
  const stretched = $("stretch").checked;
  figure("frame", `${frame.version} ${stretched}`, async () => {
    const image = await picture(stretched ? "/frame-contrast.jpg" : "/frame.jpg");
    return () => drawFrame($("frame"), image, frame.shape_px[1] * plan.pixel_um);
  });
  drawHistogram($("histogram"), frame, stretched);
  const source = frame.z_of_pulse ? "" : " (reported by the stage)";
  const z = frame.z_um === null ? "" : `, z ${frame.z_um.toFixed(2)} µm${source}`;
  const of = frame.of ? ` of ${frame.of}` : "";
  const where = `${frame.preview ? "at rest, no scan" : `frame ${frame.number}${of}`}${z}`;
  const [tall, wide] = frame.shape_px;
  const worst = frame.preview ? "" : `, at most ${percent(frame.saturated_worst, 2)} in this scan and the one before`;
  const saturation = `${percent(frame.saturated, 2)} of the pixels saturated (red)${worst}; ${wide} × ${tall} px`;
  const old = frame.age_s > OLD_S && !["starting", "waiting", "stopping"].includes(phase);
  const silent = `no new frame for ${duration(frame.age_s)}${none ? `: ${none}` : ""}`;
  put("frame-caption", `${where}; ${old ? silent : saturation}`, old);
  $("saturation").hidden = !frame.saturation_warning;
  put("saturation", `${percent(frame.saturated_worst)} of the pixels are saturated, and their heights are wrong: `
    + "shorten the exposure, or dim the light.");
}

function showSurfaces(surfaces, now) {
  const { height, rate, curves, problem } = surfaces;
  if (!now.reconstruct) put("height-caption", "this run measures no surfaces (--no-surfaces)");
  if (problem) put("height-caption", problem, true);
  if (height) {
    figure("height", height.version, async () => {
      const map = await picture("/height.png");
      return () => drawMap($("height"), map, height, "height (µm)");
    });
    figure("relief", height.version, async () => {
      const field = await (await request("/relief.bin")).arrayBuffer();
      relief.take(field, height);
      return () => relief.draw();
    });
    const name = short(height.scan), newest = now.scans[0];
    const none = newest && newest.scan !== height.scan && newest.no_surface;
    const sigma = height.sigma_um === null ? "" : `, median σ ${height.sigma_um.toFixed(3)} µm`;
    const measured = `${name}: ${percent(height.coverage)} measured${sigma}; grey: not measured`;
    const wrong = problem ?? (none ? `${name}; ${short(newest.scan)} has no surface: ${none}` : null);
    put("height-caption", wrong ?? measured, wrong !== null);
    put("relief-caption", `${name}: heights ×${relief.stretch}, clipped to the limits of the colours. `
      + "Drag or use the arrow keys to turn, the wheel or + − to zoom.");
  }
  if (rate) {
    figure("rate-map", rate.version, async () => {
      const map = await picture("/rate.png");
      return () => drawMap($("rate-map"), map, rate, "growth rate (nm/s)");
    });
    const sigma = rate.sigma_nm_per_s === null ? "" : `, median σ ${rate.sigma_nm_per_s.toFixed(1)}`;
    const mean = rate.mean_nm_per_s === null ? "" : `mean ${rate.mean_nm_per_s.toFixed(1)}${sigma} nm/s, `;
    put("rate-caption", `at ${short(rate.at)}: ${mean}linear fit to ${short(rate.first)} … ${short(rate.last)}; `
      + "includes the axial drift of the stage");
  }
  if (curves) figure("curves", curves.version, async () => {
    const data = await (await request("/curves")).json();
    legend(data);
    return () => drawCurves($("curves"), data, STYLES);
  });
}

function legend(data) {
  const { regions } = data;
  const items = regions.map((region, k) => {
    const item = document.createElement("span");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const { colour: stroke, dash } = STYLES[k];
    const drawn = { d: "M0 4 H22", stroke, "stroke-width": "2.5", "stroke-dasharray": dash.join(" ") };
    for (const [name, value] of Object.entries(drawn)) line.setAttribute(name, value);
    svg.append(line);
    item.append(svg, region.name);
    return item;
  });
  $("legend").replaceChildren(...items);
  put("curves-caption", regions.length > 1
    ? "the three largest trenches and protrusions by the curvature of the first three surfaces; bars: ± 2 standard errors"
    : data.scans.length < 3 ? "the whole field; trenches and protrusions need three surfaces"
      : "the whole field; the first three surfaces show no distinct trench or protrusion");
}

function showScans({ scans, scans_taken: taken }) {
  const key = JSON.stringify(scans);
  if (key === rows) return;
  rows = key;
  $("ledger").replaceChildren(...scans.flatMap(rowsOf));
  const last = taken > scans.length ? `the last ${scans.length} of ${taken}; ` : "";
  put("ledger-caption", scans.length ? `${last}✓ a complete frame on disk for every pulse; ✗ ended early, or with losses: see the line below it` : "no scan yet");
}

function rowsOf(scan) {
  const row = document.createElement("tr");
  row.title = `${scan.ended}: ${scan.said}`;
  row.classList.toggle("incomplete", !scan.complete);
  const cells = [
    [`${scan.complete ? "✓" : "✗"} ${short(scan.scan).replace("scan_", "")}`],
    [scan.complete ? String(scan.frames) : `${scan.frames}/${scan.planned}`],
    [scan.coverage === null ? "–" : percent(scan.coverage)],
    [scan.surface_after_s === null || scan.coverage === null ? "–" : `${scan.surface_after_s.toFixed(2)} s`],
    [scan.lost], [scan.missed], [scan.incomplete], [scan.skipped],
  ];
  cells.forEach(([text], k) => {
    const cell = document.createElement("td");
    cell.textContent = String(text);
    if (k >= 4 && text > 0) cell.className = "counted";
    row.append(cell);
  });
  const flawless = scan.complete && !scan.no_surface && !scan.missed_sample && !scan.disk_waited_s && scan.synchronised;
  const remarks = [scan.fault, flawless ? "" : scan.said.replace(`${scan.scan}: `, "")].filter(Boolean).join("; ");
  if (!remarks) return [row];
  const note = document.createElement("tr");
  note.className = "note";
  const cell = document.createElement("td");
  cell.colSpan = cells.length;
  cell.textContent = remarks;
  note.append(cell);
  return [row, note];
}

for (const action of ["start", "stop", "abort"]) {
  $(action).addEventListener("click", async () => {
    if (action !== "abort") $(action).disabled = true;
    try {
      await request(`/${action}`, { method: "POST" });
    } catch (error) {
      put("message", error.message);
    }
  });
}

let resizing = 0;
new ResizeObserver(() => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => Object.values(drawn).forEach((one) => one.draw()));
}).observe(document.querySelector("main"));
watch();
