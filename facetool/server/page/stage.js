// The canvas with a photo, or the webcam's image, and boxes with names over it.

import { UNKNOWN_COLOUR } from "./people.js";

/** A round picture of a face, as a canvas. */
export function portrait(source, box, mirrored = false, size = 96) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const [left, top, right, bottom] = box;
  const edge = Math.max(right - left, bottom - top) * 1.45;
  const x = (left + right - edge) / 2;
  const y = (top + bottom - edge) / 2 - edge * 0.04;
  const context = canvas.getContext("2d");
  if (mirrored) {
    context.translate(size, 0);
    context.scale(-1, 1);
  }
  context.drawImage(source, x, y, edge, edge, 0, 0, size, size);
  return canvas;
}

export class Stage {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {function(face): {name, similarity, sure}} identify
   * @param {function(string): string} colour of a name
   */
  constructor(canvas, identify, colour) {
    this.canvas = canvas;
    this.identify = identify;
    this.colour = colour;
    this.shown = null;
  }

  /**
   * @param {CanvasImageSource} source
   * @param {number} width of the source, in which boxes count
   * @param {number} height
   * @param {Array} faces
   * @param {boolean} mirrored as one sees oneself
   */
  show(source, width, height, faces, mirrored = false) {
    this.shown = { source, width, height, faces, mirrored };
    // Small photos are shown larger, so that labels stay legible.
    this.scale = Math.max(1, Math.min(1600, 2 * this.canvas.parentElement.clientWidth) / width);
    this.scale = Math.min(this.scale, 1600 / height);
    const size = [width, height].map((edge) => Math.round(edge * this.scale));
    if (size[0] !== this.canvas.width || size[1] !== this.canvas.height) {
      [this.canvas.width, this.canvas.height] = size;
    }
    this.canvas.hidden = false;
    this.draw();
  }

  draw() {
    if (!this.shown) return;
    const { source, faces, mirrored } = this.shown;
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    context.save();
    if (mirrored) {
      context.translate(width, 0);
      context.scale(-1, 1);
    }
    context.drawImage(source, 0, 0, width, height);
    context.restore();
    for (const face of faces) this.#box(context, face);
  }

  #box(context, face) {
    const { name, similarity, sure } = this.identify(face);
    const colour = name ? this.colour(name) : UNKNOWN_COLOUR;
    const [x, y, w, h] = this.place(face);
    // One unit is a pixel of the screen at the canvas's usual size.
    const unit = Math.max(1, this.canvas.width / (this.canvas.clientWidth || this.canvas.width));
    context.lineWidth = 2.5 * unit;
    context.strokeStyle = colour;
    context.shadowColor = "rgb(0 0 0 / 45%)";
    context.shadowBlur = 6 * unit;
    context.beginPath();
    context.roundRect(x, y, w, h, 8 * unit);
    context.stroke();
    context.shadowBlur = 0;

    const text = name ? (sure ? name : `${name}?`) : "unknown";
    const number = similarity === null ? "" : similarity.toFixed(2);
    context.font = `600 ${14 * unit}px system-ui, sans-serif`;
    const room = 9 * unit;
    const wide = context.measureText(text).width;
    context.font = `400 ${12 * unit}px system-ui, sans-serif`;
    const more = number ? context.measureText(number).width + room * 0.8 : 0;
    const label = { w: wide + more + 2 * room, h: 25 * unit };
    const left = Math.min(Math.max(0, x - context.lineWidth / 2), this.canvas.width - label.w);
    const above = y - label.h - 4 * unit;
    const top = above >= 0 ? above : Math.min(y + h + 4 * unit, this.canvas.height - label.h);
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(left, top, label.w, label.h, 7 * unit);
    context.fill();
    context.textBaseline = "middle";
    context.fillStyle = "#0c0f14";
    context.font = `600 ${14 * unit}px system-ui, sans-serif`;
    context.fillText(text, left + room, top + label.h / 2 + unit / 2);
    context.font = `400 ${12 * unit}px system-ui, sans-serif`;
    context.fillText(number, left + room + wide + room * 0.8, top + label.h / 2 + unit / 2);
  }

  /** Left, top, width and height of a face in pixels of the canvas. */
  place(face) {
    const { width, mirrored } = this.shown;
    const [left, top, right, bottom] = face.box;
    const x = mirrored ? width - right : left;
    return [x, top, right - left, bottom - top].map((value) => value * this.scale);
  }

  /** The face at a point of the screen. */
  faceAt(clientX, clientY) {
    if (!this.shown) return null;
    const frame = this.canvas.getBoundingClientRect();
    const x = ((clientX - frame.left) / frame.width) * this.canvas.width;
    const y = ((clientY - frame.top) / frame.height) * this.canvas.height;
    return this.shown.faces.find((face) => {
      const [left, top, w, h] = this.place(face);
      return x >= left && x <= left + w && y >= top && y <= top + h;
    }) ?? null;
  }

  /** Where a face's lower edge is, in pixels from the corner of the stage. */
  below(face) {
    const [x, y, w, h] = this.place(face);
    const frame = this.canvas.getBoundingClientRect();
    const stage = this.canvas.parentElement.getBoundingClientRect();
    const factor = frame.width / this.canvas.width;
    return {
      x: frame.left - stage.left + (x + w / 2) * factor,
      y: frame.top - stage.top + (y + h) * factor,
    };
  }
}
