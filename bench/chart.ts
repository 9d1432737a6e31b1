/** Draws SVG charts that are readable on light and dark pages. */

interface Bar {
  readonly name: string;
  readonly value: number;
  /** The subject of the chart. */
  readonly isMain: boolean;
}

interface BarGroup {
  readonly title: string;
  readonly bars: readonly Bar[];
}

interface Line {
  readonly name: string;
  readonly isMain: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
}

interface LineChart {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly lines: readonly Line[];
}

const width = 760;
const labelHeight = 14;
const style = `<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.group { font-weight: 600 }
.faint { fill: #59636e }
.grid { stroke: #d1d9e0 }
.one { stroke: #1f2328; stroke-dasharray: 2 2 }
.bar { fill: #9aa4af }
.main { fill: #0969da }
.line { stroke: #818b98; fill: none; stroke-width: 2 }
.line.main { stroke: #0969da; fill: none }
.dot { fill: #818b98 }
.dot.main { fill: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.faint { fill: #9198a1 }
.grid { stroke: #3d444d }
.one { stroke: #e6edf3 }
.bar { fill: #656c76 }
.main { fill: #4493f8 }
.line { stroke: #9198a1 }
.line.main { stroke: #4493f8 }
.dot { fill: #9198a1 }
.dot.main { fill: #4493f8 }
}
</style>`;

/** The longest bar. Longer ones would make the others too short to compare: they are cut, with a gap. */
export const longestBar = 20;

/** Horizontal bars in two columns of groups. All groups have one scale. A line marks the value 1. */
export function barChart(title: string, subtitle: string, groups: readonly BarGroup[]): string {
  const [bar, gap, head, columns] = [15, 22, 52, 2];
  const column = width / columns;
  const [left, right] = [72, 44];
  const shown = (value: number) => Math.min(value, longestBar);
  const largest = Math.max(1, ...groups.flatMap(({ bars }) => bars.map(({ value }) => shown(value))));
  const scale = (column - left - right) / largest;
  const rows = Math.ceil(groups.length / columns);
  const tallest = Math.max(...groups.map(({ bars }) => bars.length));
  const groupHeight = tallest * bar + 18 + gap;
  const parts = groups.flatMap((group, index) => {
    const x = Math.floor(index / rows) * column;
    const y = head + (index % rows) * groupHeight;
    const bottom = y + 18 + group.bars.length * bar;
    return [
      text(x + 4, y + 10, group.title, 'group'),
      ...group.bars.flatMap(({ name, value, isMain }, row) => {
        const top = y + 18 + row * bar;
        return [
          text(x + left - 6, top + 11, name, isMain ? 'group' : 'faint', 'end'),
          ...pieces(value).map(
            ([from, to]) =>
              `<rect class="bar${isMain ? ' main' : ''}" x="${round(x + left + from * scale)}" y="${top + 2}" width="${round((to - from) * scale)}" height="${bar - 4}"/>`,
          ),
          text(x + left + Math.max(shown(value), 1) * scale + 5, top + 11, value.toFixed(2), isMain ? 'group' : ''),
        ];
      }),
      `<line class="one" x1="${round(x + left + scale)}" y1="${y + 17}" x2="${round(x + left + scale)}" y2="${bottom + 1}"/>`,
    ];
  });
  return svg(title, head + rows * groupHeight, [text(4, 16, title, 'title'), text(4, 34, subtitle, 'faint'), ...parts]);
}

/** A bar as one piece, or a cut one as two. */
function pieces(value: number): readonly (readonly [from: number, to: number])[] {
  if (value <= longestBar) return [[0, value]];
  return [
    [0, longestBar * 0.92],
    [longestBar * 0.94, longestBar],
  ];
}

/** Lines over an x axis with one step for each value. The name of a line stands at its end. */
export function lineChart({ title, xTitle, yTitle, lines }: LineChart): string {
  const [height, left, right, top, bottom] = [340, 64, 150, 44, 48];
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].toSorted((a, b) => a - b);
  const largest = Math.max(...lines.flatMap(({ points }) => points.map(([, y]) => y)));
  const step = stepOf(largest);
  const limit = Math.ceil(largest / step) * step;
  const x = (value: number) => left + (xs.indexOf(value) * (width - left - right)) / Math.max(1, xs.length - 1);
  const y = (value: number) => height - bottom - (value * (height - top - bottom)) / limit;
  const labels = lines
    .map(({ points }, index) => ({ index, y: y(points.at(-1)?.[1] ?? 0) }))
    .toSorted((a, b) => a.y - b.y);
  // Labels of lines that end at nearly the same value do not overlap.
  labels.forEach((label, at) => {
    label.y = Math.max(label.y, (labels[at - 1]?.y ?? 0) + labelHeight);
  });
  const labelY = (line: number) => labels.find(({ index }) => index === line)?.y ?? 0;
  const ticks = Array.from({ length: Math.round(limit / step) + 1 }, (_, index) => index * step);
  return svg(title, height, [
    text(4, 18, title, 'title'),
    text(left, 36, yTitle, 'faint'),
    text((left + width - right) / 2, height - 8, xTitle, 'faint', 'middle'),
    ...ticks.flatMap((tick) => [
      `<line class="grid" x1="${left}" y1="${round(y(tick))}" x2="${width - right}" y2="${round(y(tick))}"/>`,
      text(left - 8, y(tick) + 4, tick.toLocaleString('en'), 'faint', 'end'),
    ]),
    ...xs.map((value) => text(x(value), height - bottom + 18, String(value), 'faint', 'middle')),
    ...lines.flatMap(({ name, isMain, points }, index) => {
      const [lastX = 0] = points.at(-1) ?? [];
      const own = isMain ? ' main' : '';
      return [
        `<polyline class="line${own}" points="${points.map(([px, py]) => `${round(x(px))},${round(y(py))}`).join(' ')}"/>`,
        ...points.map(([px, py]) => `<circle class="dot${own}" cx="${round(x(px))}" cy="${round(y(py))}" r="3.5"/>`),
        text(x(lastX) + 10, labelY(index) + 4, name, isMain ? 'group' : ''),
      ];
    }),
  ]);
}

/** A round step that divides the axis into at most six parts. */
function stepOf(largest: number): number {
  const power = 10 ** Math.floor(Math.log10(largest));
  return [0.2, 0.5, 1, 2].map((factor) => factor * power).find((step) => largest / step <= 6) ?? power;
}

const round = (value: number) => Math.round(value * 10) / 10;

const text = (x: number, y: number, content: string, kind: string, anchor = 'start') =>
  `<text x="${round(x)}" y="${round(y)}" class="${kind}" text-anchor="${anchor}">${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;

const svg = (title: string, height: number, parts: readonly string[]) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">\n<title>${title}</title>\n${style}\n${parts.join('\n')}\n</svg>\n`;
