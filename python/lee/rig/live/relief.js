// A height map in 3D, drawn with WebGL, turned by dragging or with the arrow keys; its exaggeration is stated.

import { prepared, formatted } from "./charts.js";

const VERTEX = `
attribute vec3 place; attribute vec3 normal; attribute vec3 colour;
uniform mat4 view; uniform float lit; varying vec3 shown;
void main() {
  gl_Position = view * vec4(place, 1.0);
  float light = 0.35 + 0.65 * max(dot(normalize(normal), normalize(vec3(-0.5, 0.6, 0.8))), 0.0);
  shown = colour * mix(1.0, light, lit);
}`;
const FRAGMENT = "precision mediump float; varying vec3 shown; void main() { gl_FragColor = vec4(shown, 1.0); }";
const START = { yaw: 0.45, pitch: 0.95, away: 2.6 };

/** Largest of 1, 2, 5 times a power of ten that is not above a value. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [5, 2, 1].find((k) => k * power <= value * (1 + 1e-9));
}

export class Relief {
  constructor(canvas, labels) {
    this.canvas = canvas;
    this.labels = labels;
    this.eye = { ...START };
    this.stretch = 1;
    const gl = canvas.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
    this.gl = gl;
    if (!gl) return;
    this.program = this.built();
    this.buffers = Object.fromEntries(
      ["place", "normal", "colour", "corners", "grey", "triangles", "edges"].map((name) => [name, gl.createBuffer()]));
    canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.gl = null; });
    this.listen();
  }

  /** Take a new surface: heights (rows, columns) float32 µm, then colours uint8. */
  take(bytes, info) {
    const { rows, columns, step_um: step } = info.relief;
    const height = new Float32Array(bytes, 0, rows * columns);
    const rgb = new Uint8Array(bytes, 4 * rows * columns);
    const field = Math.max(rows, columns) * step;
    this.stretch = round(Math.max(1, 0.25 * field / Math.max(info.high - info.low, 1e-6)));
    this.info = info;
    if (!this.gl) return;
    // The longer side measures 2, around the origin; y runs up the image.
    const unit = 2 / field, lift = unit * this.stretch, middle = (info.low + info.high) / 2;
    const place = new Float32Array(3 * rows * columns), normal = new Float32Array(3 * rows * columns);
    const at = (r, c) => height[Math.min(Math.max(r, 0), rows - 1) * columns + Math.min(Math.max(c, 0), columns - 1)];
    for (let r = 0, k = 0; r < rows; r++) for (let c = 0; c < columns; c++, k += 3) {
      place[k] = (c - (columns - 1) / 2) * step * unit;
      place[k + 1] = ((rows - 1) / 2 - r) * step * unit;
      place[k + 2] = (at(r, c) - middle) * lift;
      normal[k] = -(at(r, c + 1) - at(r, c - 1)) * lift;
      normal[k + 1] = (at(r + 1, c) - at(r - 1, c)) * lift;
      normal[k + 2] = 2 * step * unit;
    }
    const triangles = new Uint16Array(6 * (rows - 1) * (columns - 1));
    for (let r = 0, k = 0; r < rows - 1; r++) for (let c = 0; c < columns - 1; c++, k += 6) {
      const a = r * columns + c;
      triangles.set([a, a + columns, a + 1, a + 1, a + columns, a + columns + 1], k);
    }
    this.count = triangles.length;
    this.box = [columns * step * unit / 2, rows * step * unit / 2, (info.high - info.low) * lift / 2];
    const [x, y, z] = this.box;
    const corners = [-z, z].flatMap((at) => [[-x, -y, at], [x, -y, at], [x, y, at], [-x, y, at]]);
    const gl = this.gl;
    this.fill("place", place);
    this.fill("normal", normal);
    this.fill("colour", Float32Array.from(rgb, (value) => value / 255));
    this.fill("corners", new Float32Array(corners.flat()));
    this.fill("grey", new Float32Array(24).fill(0.42));
    this.fill("triangles", triangles, gl.ELEMENT_ARRAY_BUFFER);
    this.fill("edges", new Uint16Array([0, 1, 1, 2, 2, 3, 3, 0, 0, 4, 1, 5, 2, 6, 3, 7]), gl.ELEMENT_ARRAY_BUFFER);
    this.draw();
  }

  draw() {
    const { to, width, height } = prepared(this.labels);
    const gl = this.gl;
    if (!gl) {
      to.fillStyle = "#98a0aa";
      to.textAlign = "center";
      to.fillText("This browser has no WebGL; see the height map instead.", width / 2, height / 2);
      return;
    }
    if (!this.info || !width || !height) return;
    if (this.canvas.width !== this.labels.width || this.canvas.height !== this.labels.height) {
      this.canvas.width = this.labels.width;
      this.canvas.height = this.labels.height;
    }
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0.102, 0.114, 0.129, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.program);
    const view = this.view(width / height);
    gl.uniformMatrix4fv(gl.getUniformLocation(this.program, "view"), false, view);
    this.part("place", "normal", "colour", "triangles", gl.TRIANGLES, this.count, 1);
    this.part("corners", "corners", "grey", "edges", gl.LINES, 16, 0);
    this.write(to, view, width, height);
  }

  /** Label the visible sides of the box. */
  write(to, view, width, height) {
    const [x, y, z] = this.box, [tallUm, wideUm] = this.info.size_um, { low, high } = this.info;
    const seen = (p) => {
      const [a, b, w] = [0, 1, 3].map((row) => [...p, 1].reduce((sum, at, k) => sum + view[4 * k + row] * at, 0));
      return [(a / w + 1) * width / 2, (1 - b / w) * height / 2];
    };
    to.textAlign = "center";
    to.textBaseline = "middle";
    const step = (high - low) / 10;
    // The sides nearest to the viewer, and the leftmost corner.
    const lower = (a, b) => (seen(a)[1] > seen(b)[1] ? a : b);
    const corners = [[-x, -y], [x, -y], [x, y], [-x, y]];
    const [cx, cy] = corners.reduce((a, b) => (seen([...a, 0])[0] < seen([...b, 0])[0] ? a : b));
    for (const [what, p, aside] of [
      [`x ${formatted(wideUm, 1)} µm`, lower([0, -y * 1.16, -z], [0, y * 1.16, -z]), 0],
      [`y ${formatted(tallUm, 1)} µm`, lower([-x * 1.16, 0, -z], [x * 1.16, 0, -z]), 0],
      [formatted(low, step), [cx, cy, -z], 24], [`${formatted(high, step)} µm`, [cx, cy, z], 34],
    ]) {
      const [at, top] = seen(p), half = to.measureText(what).width / 2 + 2;
      const left = Math.min(Math.max(at - aside, half), width - half);
      to.lineWidth = 3;
      to.strokeStyle = "#1a1d21";
      to.strokeText(what, left, top);
      to.fillStyle = "#c3c9d1";
      to.fillText(what, left, top);
    }
  }

  view(aspect) {
    const { yaw, pitch, away } = this.eye;
    const [s, c, u, v] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
    const near = 0.1, far = 20, zoom = 3.9 * Math.min(1, aspect / 1.3);
    // Turned about z, tilted from looking straight down, moved away, then seen in perspective.
    const right = [c, -s, 0], up = [s * v, c * v, u], toward = [-s * u, -c * u, v];
    const deep = (far + near) / (near - far), shift = (2 * far * near) / (near - far);
    const m = new Float32Array(16);
    for (let k = 0; k < 3; k++) {
      m[4 * k] = right[k] * zoom / aspect;
      m[4 * k + 1] = up[k] * zoom;
      m[4 * k + 2] = toward[k] * deep;
      m[4 * k + 3] = -toward[k];
    }
    m[14] = -away * 2 * deep + shift;
    m[15] = away * 2;
    return m;
  }

  part(place, normal, colour, indices, kind, count, lit) {
    const gl = this.gl;
    for (const [name, buffer] of [["place", place], ["normal", normal], ["colour", colour]]) {
      const where = gl.getAttribLocation(this.program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[buffer]);
      gl.enableVertexAttribArray(where);
      gl.vertexAttribPointer(where, 3, gl.FLOAT, false, 0, 0);
    }
    gl.uniform1f(gl.getUniformLocation(this.program, "lit"), lit);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers[indices]);
    gl.drawElements(kind, count, gl.UNSIGNED_SHORT, 0);
  }

  fill(name, values, kind = this.gl.ARRAY_BUFFER) {
    this.gl.bindBuffer(kind, this.buffers[name]);
    this.gl.bufferData(kind, values, this.gl.DYNAMIC_DRAW);
  }

  built() {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    return program;
  }

  turn(dyaw, dpitch) {
    this.eye.yaw += dyaw;
    this.eye.pitch = Math.min(Math.max(this.eye.pitch + dpitch, 0.02), 1.55);
    this.soon();
  }

  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.turn(event.movementX * 0.01, -event.movementY * 0.01);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.nearer(Math.exp(event.deltaY * 0.001));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => { this.eye = { ...START }; this.soon(); });
    const keys = {
      ArrowLeft: () => this.turn(-0.1, 0), ArrowRight: () => this.turn(0.1, 0), ArrowUp: () => this.turn(0, -0.1),
      ArrowDown: () => this.turn(0, 0.1), "+": () => this.nearer(0.9), "-": () => this.nearer(1.1),
      Home: () => { this.eye = { ...START }; this.soon(); },
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  nearer(factor) {
    this.eye.away = Math.min(Math.max(this.eye.away * factor, 0.8), 6);
    this.soon();
  }
}
