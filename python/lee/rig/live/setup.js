// Between runs: moves of the stage, focus, the search for the sample, the scan window, and the camera.

import { drawFocus } from "./charts.js";
import { request } from "./request.js";

const KEPT = 400;
const $ = (id) => document.getElementById(id);
const told = {}; // what the rig said last for each field: a field that somebody has changed since is left alone
let seen = [], seenVersion = null, light = "";

function tell(id, value) {
  if (value === null || told[id] === value) return;
  told[id] = value;
  $(id).value = String(value);
}

function put(id, text, warned = false) {
  if ($(id).textContent !== text) $(id).textContent = text;
  $(id).classList.toggle("warned", warned);
}

const um = (value) => Number(value.toFixed(2));

export function showSetup(now) {
  $("setup").hidden = now.running;
  if (now.running) { seen = []; return; }
  for (const one of $("setup").querySelectorAll("button, input")) one.disabled = now.moving;
  const { plan, sweep, limits_um: [lowest, highest] } = now;
  put("limits", `limits ${lowest.toFixed(1)} to ${highest.toFixed(1)} µm; look first: an objective may be in the way`);
  const ends = [plan.from_um, plan.to_um].sort((a, b) => a - b), more = ends[1] - ends[0];
  tell("goto", um(ends[0]));
  tell("sweep-from", um(Math.max(ends[0] - more, lowest)));
  tell("sweep-to", um(Math.min(ends[1] + more, highest)));
  tell("sweep-step", Math.max(um(3 * more / 40), 0.5));
  tell("window-start", um(plan.from_um));
  tell("window-end", um(plan.to_um));
  tell("exposure", Number((1e3 * now.exposure_s).toPrecision(4)));
  tell("gain", now.gain_db === null ? null : Number(now.gain_db.toFixed(2)));
  $("gain").parentElement.hidden = now.gain_db === null;
  put("window-caption", `${plan.frames} frames in ${plan.seconds.toFixed(1)} s, ${plan.step_um.toFixed(3)} µm apart`);
  put("camera-caption", `the scan needs ${plan.frames_per_s.toFixed(0)} frames/s`);
  showSweep(sweep);
  showFocus(now);
}

function showSweep(sweep) {
  if (!sweep) return put("sweep-caption", "looks at height after height; the scan window stays");
  const beyond = [sweep.below && "below", sweep.above && "above"].filter(Boolean).join(" and ");
  const more = beyond ? `; the surface goes on ${beyond}` : "";
  if (sweep.start_um === null) return put("sweep-caption", `nothing came into focus${more}`, true);
  const found = `${um(sweep.start_um)} to ${um(sweep.end_um)} µm`;
  put("sweep-caption", `${(100 * sweep.share).toFixed(0)} % of the field is sharp within ${found}${more}; press Set to scan there`, beyond !== "");
  const key = JSON.stringify(sweep);
  if (told.sweep === key) return;
  told.sweep = key;
  $("window-start").value = um(sweep.start_um);
  $("window-end").value = um(sweep.end_um);
}

function showFocus({ frame, z_um: z, exposure_s: exposure, gain_db: gain, moving }) {
  if (!frame || !frame.preview) return;
  if (light !== `${exposure} ${gain}`) [light, seen] = [`${exposure} ${gain}`, []];
  if (frame.version !== seenVersion && frame.z_um !== null) {
    seenVersion = frame.version;
    seen = [...seen, { z: frame.z_um, contrast: frame.contrast }].slice(-KEPT);
  }
  if (!seen.length) return;
  const best = seen.reduce((one, other) => (other.contrast > one.contrast ? other : one));
  drawFocus($("focus"), seen);
  put("focus-caption", `contrast ${percent(frame.contrast)}; best ${percent(best.contrast)} at ${best.z.toFixed(1)} µm`);
}

const percent = (share) => `${(100 * share).toPrecision(3)} %`;

async function ask(path, values = {}) {
  try {
    await request(`${path}?${new URLSearchParams(values)}`, { method: "POST" });
    $("message").textContent = "";
  } catch (error) {
    $("message").textContent = error.message;
  }
}

function onSubmit(form, path, values) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault();
    ask(path, values());
  });
}

for (const button of document.querySelectorAll("[data-um]"))
  button.addEventListener("click", () => ask("/jog", { um: button.dataset.um }));
onSubmit("move", "/goto", () => ({ um: $("goto").value }));
onSubmit("sweep", "/sweep", () => ({
  from_um: $("sweep-from").value, to_um: $("sweep-to").value, step_um: $("sweep-step").value,
}));
onSubmit("window", "/window", () => ({ start_um: $("window-start").value, end_um: $("window-end").value }));
onSubmit("camera", "/camera", () => ({
  exposure_s: Number($("exposure").value) / 1e3, gain_db: $("gain").parentElement.hidden ? "" : $("gain").value,
}));
