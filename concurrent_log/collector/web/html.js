// The template tag of the components: html`…` creates elements. Values in it become text, never markup.

import htm from "./vendored/htm.js";
import { h } from "./vendored/preact.js";

export { render } from "./vendored/preact.js";
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendored/preact-hooks.js";

export const html = htm.bind(h);
