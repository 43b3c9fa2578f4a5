// Frames, maps and curves on canvases, with axes and colour bars.

const TEXT = "#c3c9d1", QUIET = "#98a0aa", LINE = "#3a4049", FONT = "12px system-ui, 'DejaVu Sans', sans-serif";

/** Make a canvas as sharp as the screen; return its context in CSS pixels, and its size. */
export function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const to = canvas.getContext("2d");
  to.setTransform(ratio, 0, 0, ratio, 0, 0);
  to.clearRect(0, 0, width, height);
  to.font = FONT;
  to.lineWidth = 1;
  return { to, width, height };
}

/** Round numbers from low to high, about `wanted` of them. */
export function ticks(low, high, wanted) {
  if (!(high > low)) return [low];
  const raw = (high - low) / Math.max(wanted, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((k) => k * power >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return found;
}

/** Write a number with as many digits as its axis needs. */
export function formatted(value, step) {
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(Math.abs(step) || 1) + 1e-9)));
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

function stepOf(found) {
  return found.length > 1 ? found[1] - found[0] : Math.abs(found[0]) || 1;
}

function text(to, what, x, y, align, baseline, colour = TEXT) {
  to.fillStyle = colour;
  to.textAlign = align;
  to.textBaseline = baseline;
  to.fillText(what, x, y);
}

function turnedText(to, what, x, y) {
  to.save();
  to.translate(x, y);
  to.rotate(-Math.PI / 2);
  text(to, what, 0, 0, "center", "middle", QUIET);
  to.restore();
}

/** A frame with a scale bar, its first row at the top. */
export function drawFrame(canvas, picture, widthUm) {
  const { to, width, height } = prepared(canvas);
  const scale = Math.min(width / picture.width, height / picture.height);
  const wide = picture.width * scale, tall = picture.height * scale;
  const left = (width - wide) / 2, top = (height - tall) / 2;
  to.imageSmoothingEnabled = scale < 1;
  to.drawImage(picture, left, top, wide, tall);
  const length = ticks(0, widthUm, 4)[1] ?? widthUm;
  const bar = (length / widthUm) * wide;
  to.fillStyle = "rgba(0, 0, 0, 0.6)";
  to.fillRect(left + 6, top + tall - 32, bar + 16, 26);
  to.fillStyle = "white";
  to.fillRect(left + 14, top + tall - 12, bar, 3);
  text(to, `${length} µm`, left + 14 + bar / 2, top + tall - 14, "center", "bottom", "white");
}

/** A map with axes in µm, row 0 at the top, and its colour bar. */
export function drawMap(canvas, picture, info, label) {
  const { to, width, height } = prepared(canvas);
  const margin = { left: 58, right: 88, top: 6, bottom: 40 };
  const [tallUm, wideUm] = info.size_um;
  const room = { wide: width - margin.left - margin.right, tall: height - margin.top - margin.bottom };
  if (room.wide < 20 || room.tall < 20) return;
  const scale = Math.min(room.wide / wideUm, room.tall / tallUm);
  const wide = wideUm * scale, tall = tallUm * scale;
  const left = margin.left + (room.wide - wide) / 2, top = margin.top + (room.tall - tall) / 2;
  to.imageSmoothingEnabled = picture.width > wide;
  to.drawImage(picture, left, top, wide, tall);
  to.strokeStyle = LINE;
  to.strokeRect(left - 0.5, top - 0.5, wide + 1, tall + 1);

  const across = ticks(0, wideUm, wide / 60), down = ticks(0, tallUm, tall / 45);
  for (const at of across) {
    mark(to, left + at * scale, top + tall, 0, 4);
    text(to, formatted(at, stepOf(across)), left + at * scale, top + tall + 7, "center", "top");
  }
  for (const at of down) {
    mark(to, left, top + at * scale, -4, 0);
    text(to, formatted(at, stepOf(down)), left - 7, top + at * scale, "right", "middle");
  }
  text(to, "x (µm)", left + wide / 2, top + tall + 23, "center", "top", QUIET);
  turnedText(to, "y, down the image (µm)", left - 46, top + tall / 2);
  drawBar(to, left + wide + 12, top, tall, info, label);
}

function mark(to, x, y, dx, dy) {
  to.strokeStyle = QUIET;
  to.beginPath();
  to.moveTo(x, y);
  to.lineTo(x + dx, y + dy);
  to.stroke();
}

function drawBar(to, left, top, tall, info, label) {
  const shade = to.createLinearGradient(0, top + tall, 0, top);
  info.colours.forEach((colour, k) => shade.addColorStop(k / (info.colours.length - 1), colour));
  to.fillStyle = shade;
  to.fillRect(left, top, 12, tall);
  const found = ticks(info.low, info.high, tall / 40);
  let widest = 0;
  for (const at of found) {
    const y = top + tall - ((at - info.low) / (info.high - info.low)) * tall;
    const what = formatted(at, stepOf(found));
    widest = Math.max(widest, to.measureText(what).width);
    mark(to, left + 12, y, 3, 0);
    text(to, what, left + 18, y, "left", "middle");
  }
  turnedText(to, label, left + 28 + widest, top + tall / 2);
}

/** Curves of regions over time, rate above and change in height below. */
export function drawCurves(canvas, data, styles) {
  const { to, width, height } = prepared(canvas);
  const left = 68, right = 10, between = 14, bottom = 38, top = 6;
  const tall = (height - top - bottom - between) / 2;
  if (tall < 30 || width < 120) return;
  const first = data.times_s[0], last = data.times_s[data.times_s.length - 1];
  const span = last > first ? [first, last] : [first - 1, first + 1];
  const x = (t) => left + ((t - span[0]) / (span[1] - span[0])) * (width - left - right);
  const across = ticks(span[0], span[1], (width - left - right) / 60);
  const plots = [
    ["rate_nm_per_s", "rate (nm/s)", top, "rate_se_nm_per_s", 1],
    ["change_um", "change (µm)", top + tall + between, null, 0.01],
  ];
  for (const [key, label, y0, error, minSpan] of plots) {
    const lines = data.regions.map((region) => region[key]);
    const reach = data.regions.flatMap((region) =>
      region[key].flatMap((value, k) => (value === null ? [] : around(value, error && region[error][k]))));
    const limits = padded(reach.length ? Math.min(...reach) : 0, reach.length ? Math.max(...reach) : 1, minSpan);
    const y = (value) => y0 + tall - ((value - limits[0]) / (limits[1] - limits[0])) * tall;
    const up = ticks(limits[0], limits[1], tall / 20);
    for (const at of up) {
      to.strokeStyle = at === 0 ? "#6b727c" : "#2a2f36";
      to.beginPath();
      to.moveTo(left, Math.round(y(at)) + 0.5);
      to.lineTo(width - right, Math.round(y(at)) + 0.5);
      to.stroke();
      text(to, formatted(at, stepOf(up)), left - 6, y(at), "right", "middle");
    }
    turnedText(to, label, 9, y0 + tall / 2);
    if (!reach.length) text(to, "needs three surfaces", (left + width) / 2, y0 + tall / 2, "center", "middle", QUIET);
    lines.forEach((values, n) => {
      if (error) drawErrors(to, x, y, data.times_s, values, data.regions[n][error], styles[n]);
      drawLine(to, x, y, data.times_s, values, styles[n]);
    });
  }
  for (const at of across) {
    mark(to, x(at), height - bottom, 0, 4);
    text(to, formatted(at, stepOf(across)), x(at), height - bottom + 7, "center", "top");
  }
  text(to, "time since the start of the run (s)", (left + width - right) / 2, height, "center", "bottom", QUIET);
}

function around(value, error) {
  return error ? [value - 2 * error, value + 2 * error] : [value];
}

function padded(low, high, minSpan) {
  const room = Math.max((high - low) * 0.08, (minSpan - (high - low)) / 2);
  return [low - room, high + room];
}

function drawErrors(to, x, y, times, values, errors, style) {
  to.strokeStyle = style.colour;
  to.globalAlpha = 0.45;
  values.forEach((value, k) => {
    if (value === null || !errors[k]) return;
    to.beginPath();
    to.moveTo(x(times[k]), y(value - 2 * errors[k]));
    to.lineTo(x(times[k]), y(value + 2 * errors[k]));
    to.stroke();
  });
  to.globalAlpha = 1;
}

function drawLine(to, x, y, times, values, style) {
  to.strokeStyle = to.fillStyle = style.colour;
  to.lineWidth = 1.6;
  to.setLineDash(style.dash);
  to.beginPath();
  let drawing = false;
  values.forEach((value, k) => {
    if (value === null) { drawing = false; return; }
    if (drawing) to.lineTo(x(times[k]), y(value)); else to.moveTo(x(times[k]), y(value));
    drawing = true;
  });
  to.stroke();
  to.setLineDash([]);
  to.lineWidth = 1;
  if (values.length < 60) values.forEach((value, k) => {
    if (value === null) return;
    to.beginPath();
    to.arc(x(times[k]), y(value), 2.2, 0, 7);
    to.fill();
  });
}

/** How many pixels are how bright, from black to the full scale; the limits of the stretched picture as lines. */
export function drawHistogram(canvas, { histogram, limits, full_scale: full }, stretched) {
  const { to, width, height } = prepared(canvas);
  const tall = height - 16, most = Math.max(...histogram), wide = width / histogram.length;
  to.fillStyle = QUIET;
  // Shares down to one in ten thousand are seen beside the largest.
  histogram.forEach((share, k) => {
    const high = share > 0 ? Math.max(1 + Math.log10(share / most) / 4, 0.02) * tall : 0;
    to.fillRect(k * wide, tall - high, Math.max(wide - 1, 1), high);
  });
  if (stretched) for (const limit of limits) {
    to.fillStyle = "#f2b84b";
    to.fillRect(Math.min((limit / full) * width, width - 2), 0, 2, tall);
  }
  text(to, "0", 0, height, "left", "bottom", QUIET);
  text(to, "pixels by brightness, logarithmic", width / 2, height, "center", "bottom", QUIET);
  text(to, String(full), width, height, "right", "bottom", QUIET);
}

/** The contrast at every height that was passed; the newest is marked. */
export function drawFocus(canvas, seen) {
  const { to, width, height } = prepared(canvas);
  const heights = seen.map((one) => one.z), most = Math.max(...seen.map((one) => one.contrast));
  const [low, high] = padded(Math.min(...heights), Math.max(...heights), 1);
  const x = (z) => ((z - low) / (high - low)) * (width - 8) + 4, y = (value) => (height - 22) * (1 - value / most) + 4;
  seen.forEach(({ z, contrast }, k) => {
    const newest = k === seen.length - 1;
    to.fillStyle = newest ? "#f2b84b" : "#5ec4b6";
    to.beginPath();
    to.arc(x(z), y(contrast), newest ? 4 : 2, 0, 7);
    to.fill();
  });
  text(to, formatted(low, 0.1), 0, height, "left", "bottom", QUIET);
  text(to, "height (µm)", width / 2, height, "center", "bottom", QUIET);
  text(to, formatted(high, 0.1), width, height, "right", "bottom", QUIET);
}
