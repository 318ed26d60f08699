// Enrolled faces as points of a plane; the server calculates where.

const EDGE = 34;
const STRETCH = 2; // how much more one direction may be stretched than the other, to fill the map

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Array<[number, number]>} points
 * @param {Array<{name, picture}>} faces one for each point
 * @param {function(string): string} colour of a name
 */
export function drawMap(canvas, points, faces, colour) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const styles = getComputedStyle(canvas);
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const middle = (values) => (Math.min(...values) + Math.max(...values)) / 2;
  const spread = (values) => Math.max(...values) - Math.min(...values) || 1;
  const across = (width - 2 * EDGE) / spread(xs), down = (height - 2 * EDGE) / spread(ys);
  const most = STRETCH * Math.min(across, down);
  const placed = points.map(([x, y]) => [
    width / 2 + (x - middle(xs)) * Math.min(across, most),
    height / 2 + (y - middle(ys)) * Math.min(down, most),
  ]);
  const radius = Math.max(5, Math.min(15, 70 / Math.sqrt(points.length)));
  placed.forEach(([x, y], number) => {
    const face = faces[number];
    context.save();
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.clip();
    context.drawImage(face.picture, x - radius, y - radius, 2 * radius, 2 * radius);
    context.restore();
    context.lineWidth = 2.5;
    context.strokeStyle = colour(face.name);
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  });
  label(context, placed, faces, radius, styles.color, styles.backgroundColor, width);
}

/** Each name once, below the middle of its faces' lowest edge. */
function label(context, placed, faces, radius, text, ground, width) {
  context.font = "600 12px system-ui, sans-serif";
  context.textAlign = "center";
  context.lineJoin = "round";
  context.lineWidth = 4;
  context.strokeStyle = ground;
  context.fillStyle = text;
  const names = [...new Set(faces.map((face) => face.name))];
  for (const name of names) {
    const own = placed.filter((_, number) => faces[number].name === name);
    const half = context.measureText(name).width / 2;
    const x = own.reduce((sum, [value]) => sum + value, 0) / own.length;
    const y = Math.max(...own.map(([, value]) => value)) + radius + 14;
    const within = Math.min(Math.max(x, half + 2), width - half - 2);
    context.strokeText(name, within, y);
    context.fillText(name, within, y);
  }
}
