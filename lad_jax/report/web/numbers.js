// Numbers: scales, ticks, texts, colours.

/** A number as text, with three digits that count; a dash where there is none. */
function figure(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 0.001 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}

function percent(value) {
  return value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`;
}

/** "1 positive", "2 positives". */
function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** Smallest and largest number of lists, nulls aside; never of the same value. */
function extent(...lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (const value of list) {
      if (value === null || !Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return [0, 1];
  return low === high ? [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2] : [low, high];
}

/** The linear map of one interval to another. */
function linear([from, to], [start, end]) {
  const slope = (end - start) / (to - from);
  return (value) => start + (value - from) * slope;
}

/** About `wanted` round numbers within an interval. */
function ticks([from, to], wanted) {
  const rough = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const result = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-6; i++)
    result.push(Number((i * step).toPrecision(12)));
  return result;
}

/** The value below which a share of the numbers lies. */
function quantile(values, share) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.round(share * (sorted.length - 1))] : 0;
}

// Okabe and Ito's colours, which those who see colours differently can tell from each other.
const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];
const DARK = new Set(["#0072b2", "#009e73", "#d55e00"]);

function colourOf(index) {
  return COLOURS[index % COLOURS.length];
}

/** The colour of text on one of the colours. */
function inkOn(colour) {
  return DARK.has(colour) ? "#fff" : "#000";
}

// Lines of runs: a colour and a dash each; no yellow, which is hard to see on paper.
const LINES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "12 4"]; // as many as share no divisor with the colours: 35 lines

function lineOf(index) {
  return { colour: LINES[index % LINES.length], dash: DASHES[index % DASHES.length] };
}

// Viridis from its bright end: cheap is bright, costly is dark.
const HEAT = [
  "#fde725",
  "#b5de2b",
  "#6ece58",
  "#35b779",
  "#1f9e89",
  "#26828e",
  "#31688e",
  "#3e4989",
  "#482878",
  "#440154",
];
