// Elements from plain values: texts are set as texts, so that no name becomes markup.

/** An element by its id. */
export const byId = (id) => document.getElementById(id);

/**
 * An element with properties and children.
 * @param {string} tag
 * @param {object} properties set on the element, such as className
 * @param {...(Node|string)} children
 */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
