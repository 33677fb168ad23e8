// Puts tiles side by side so that they come out large and shaped like what cameras send.

/** Between 4:3 and 16:9. */
const WANTED = 3 / 2;
const GAP = 8;
/** So that four people make a square on wide screens, and not a row of three with one below. */
const EMPTY = 0.25;

/** How many columns; shapes far from the wanted one and empty places count against. */
export function columnsFor(count: number, width: number, height: number): number {
  let [best, least] = [1, Infinity];
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const shape = Math.log(width / columns / (height / rows) / WANTED);
    const cost = Math.abs(shape) + EMPTY * (columns * rows - count);
    if (cost < least) [best, least] = [columns, cost];
  }
  return best;
}

/** Keep a grid laid out; the result stops that. */
export function keepLaidOut(grid: HTMLElement, count: () => number): {update(): void; close(): void} {
  const update = () => {
    const {width, height} = grid.getBoundingClientRect(); // clientWidth may be half a pixel too wide
    const tiles = count();
    if (!tiles || !width || !height) return;
    const columns = columnsFor(tiles, width, height);
    const rows = Math.ceil(tiles / columns);
    grid.style.setProperty('--tile-width', `${Math.floor((width - GAP * (columns - 1)) / columns)}px`);
    grid.style.setProperty('--tile-height', `${Math.floor((height - GAP * (rows - 1)) / rows)}px`);
  };
  const observer = new ResizeObserver(update);
  observer.observe(grid);
  return {update, close: () => observer.disconnect()};
}
