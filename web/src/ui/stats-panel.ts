// Figures of the last minute, person by person, as small charts.
import type {Person} from '../calls/person';
import type {Flow, PeerStats, Sample} from '../calls/stats';
import {t} from '../texts';
import {h, set, write} from './dom';

const [WIDTH, HEIGHT, POINTS] = [120, 32, 60];
const SVG = 'http://www.w3.org/2000/svg';

interface Series {
  name: 'bitrate' | 'loss' | 'roundTrip' | 'frameRate';
  unit: string;
  /** Least height of the scale, so that noise does not look like news. */
  scale: number;
  lines: ((sample: Sample) => number)[];
}

const SERIES: Series[] = [
  {name: 'bitrate', unit: t.stats.kbit, scale: 100, lines: [({received}) => received.kbit, ({sent}) => sent.kbit]},
  {name: 'loss', unit: t.stats.percent, scale: 5, lines: [({received}) => received.loss, ({sent}) => sent.loss]},
  {name: 'roundTrip', unit: t.stats.ms, scale: 100, lines: [({roundTrip}) => roundTrip]},
  {name: 'frameRate', unit: t.stats.fps, scale: 30, lines: [({received}) => received.fps, ({sent}) => sent.fps]},
];

class Chart {
  readonly element: HTMLElement;
  readonly #value = h('span', {class: 'chart-value'});
  readonly #lines: SVGPolylineElement[];
  readonly #svg = document.createElementNS(SVG, 'svg');

  constructor(readonly series: Series) {
    set(this.#svg, 'viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    set(this.#svg, 'preserveAspectRatio', 'none');
    set(this.#svg, 'role', 'img');
    this.#lines = series.lines.map((_, index) => {
      const line = document.createElementNS(SVG, 'polyline');
      set(line, 'class', `line line-${index}`);
      return line;
    });
    this.#svg.append(...this.#lines);
    this.element = h('div', {class: 'chart'}, h('span', {class: 'chart-name'}, t.stats[series.name]), this.#value, this.#svg);
  }

  draw(history: Sample[]): void {
    const {lines, scale, unit, name} = this.series;
    const values = lines.map((pick) => history.map(pick));
    const top = Math.max(scale, ...values.flat().filter(Number.isFinite)) * 1.05;
    values.forEach((points, index) => set(this.#lines[index]!, 'points', polyline(points, top)));
    const text = values.map((points) => figure(points.at(-1) ?? NaN)).join(' / ');
    write(this.#value, `${text} ${unit}`);
    set(this.#svg, 'aria-label', t.stats.chart(t.stats[name], `${text} ${unit}`));
  }
}

function polyline(values: number[], top: number): string {
  return values
    .map((value, index) => Number.isFinite(value)
      ? `${(((POINTS - values.length + index) * WIDTH) / (POINTS - 1)).toFixed(1)},${(HEIGHT - 1 - (value / top) * (HEIGHT - 2)).toFixed(1)}`
      : '')
    .join(' ');
}

const figure = (value: number): string => !Number.isFinite(value) ? t.stats.unknown : value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);

class PersonFigures {
  readonly #charts = SERIES.map((series) => new Chart(series));
  readonly #facts = {resolution: h('dd'), path: h('dd'), codec: h('dd')};
  readonly element: HTMLElement;

  constructor(person: Person) {
    this.element = h('section', {class: 'figures', 'data-user': person.id},
      h('h3', {}, person.name),
      h('div', {class: 'charts'}, ...this.#charts.map(({element}) => element)),
      h('dl', {class: 'facts'}, ...Object.entries(this.#facts).map(([name, value]) =>
        h('div', {}, h('dt', {}, t.stats[name as 'path']), value))));
  }

  draw(history: Sample[]): void {
    for (const chart of this.#charts) chart.draw(history);
    const last = history.at(-1);
    if (!last) return;
    const size = ({width, height}: Flow) => (width ? `${width}×${height}` : t.stats.unknown);
    write(this.#facts.resolution, `${size(last.received)} / ${size(last.sent)}`);
    write(this.#facts.path, last.path ? t.stats.paths[last.path] : t.stats.unknown);
    write(this.#facts.codec, [...new Set([...last.received.codecs, ...last.sent.codecs])].join(', ') || t.stats.unknown);
  }
}

export class StatsPanel {
  readonly element: HTMLElement;
  readonly #people = new Map<number, PersonFigures>();
  readonly #body = h('div', {class: 'stats-body'}, h('p', {class: 'hint'}, t.stats.waiting));

  constructor() {
    this.element = h('aside', {class: 'stats', 'aria-label': t.stats.heading, hidden: true},
      h('h2', {}, t.stats.heading),
      h('p', {class: 'legend', 'aria-hidden': 'true'},
        h('span', {class: 'key key-0'}, t.stats.received), h('span', {class: 'key key-1'}, t.stats.sent)),
      this.#body);
  }

  draw(people: Person[], stats: Map<number, PeerStats>): void {
    for (const person of people) {
      const history = stats.get(person.id)?.history;
      if (!history?.length) continue;
      let figures = this.#people.get(person.id);
      if (!figures) {
        figures = new PersonFigures(person);
        this.#people.set(person.id, figures);
        this.#body.replaceChildren(...[...this.#people.values()].map(({element}) => element));
      }
      figures.draw(history);
    }
  }
}
