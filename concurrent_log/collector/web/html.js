// What every component is written with: html`…` makes elements, and puts values into them as text, never as markup.

import htm from "./vendored/htm.js";
import { h } from "./vendored/preact.js";

export { render } from "./vendored/preact.js";
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendored/preact-hooks.js";

export const html = htm.bind(h);
