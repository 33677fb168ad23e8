// A WebSocket whose end is told in time. On a dead network browsers wait a minute for the other
// side's closing frame before they tell of the end that they were asked for; the SDK waits with them.
const PATIENCE_MS = 100;

window.WebSocket = class extends WebSocket {
  #told = false;

  constructor(...given: ConstructorParameters<typeof WebSocket>) {
    super(...given);
    this.addEventListener('close', (event) => {
      if (this.#told) event.stopImmediatePropagation();
      this.#told = true;
    });
  }

  override close(code?: number, reason?: string): void {
    super.close(code, reason);
    setTimeout(() => {
      if (!this.#told) this.dispatchEvent(new CloseEvent('close', {code: 1006}));
    }, PATIENCE_MS);
  }
};
