// Elements are made here and nowhere else: text becomes text, never markup.

const svgNamespace = 'http://www.w3.org/2000/svg';

/**
 * Makes an element. Attributes: `class`, `on` ({event: listener}), `prop`
 * (properties), `data`; true sets an attribute, false, null and undefined leave
 * it out. Children: nodes, strings, or what is to be left out.
 */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an SVG element. */
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(svgNamespace, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === 'on') {
      for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    } else if (name === 'prop') {
      Object.assign(element, value);
    } else if (name === 'data') {
      Object.assign(element.dataset, value);
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

/**
 * Makes the children of parent those of rows, in order, and keeps the elements
 * of rows that stay; what is no row goes. A row has a key; make and update get
 * the row.
 */
export function keyed(parent, rows, make, update) {
  const old = new Map();
  for (const child of [...parent.children]) {
    if (child.rowKey === undefined) child.remove();
    else old.set(child.rowKey, child);
  }
  let next = parent.firstElementChild;
  for (const row of rows) {
    let element = old.get(row.key);
    if (element) {
      old.delete(row.key);
      update?.(element, row);
    } else {
      element = make(row);
      element.rowKey = row.key;
    }
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  for (const element of old.values()) element.remove();
}
