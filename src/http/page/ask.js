import { byId, setText } from './elements.js';

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} yes What the button says.
 * @property {boolean} [where] Whether a condition may be given.
 */

/**
 * Asks the operator. Null: not wanted; else the condition, which is null where none was given.
 * @param {Question} question
 * @returns {Promise<{ readonly where: string | null } | null>}
 */
export function ask({ title, text, yes, where = false }) {
  const dialog = byId('ask', HTMLDialogElement);
  const label = byId('ask-where', HTMLLabelElement);
  const input = label.querySelector('input');
  setText(byId('ask-title', HTMLElement), title);
  setText(byId('ask-text', HTMLElement), text);
  setText(byId('ask-yes', HTMLButtonElement), yes);
  label.hidden = !where;
  if (input !== null) input.value = '';
  dialog.returnValue = '';
  return new Promise((answered) => {
    dialog.addEventListener(
      'close',
      () => {
        const condition = where ? (input?.value.trim() ?? '') : '';
        answered(dialog.returnValue === 'yes' ? { where: condition === '' ? null : condition } : null);
      },
      { once: true },
    );
    dialog.showModal();
  });
}

/**
 * Asks the daemon for something. Resolves to what it refuses it with, or null.
 * @param {string} pipeline
 * @param {string} action
 * @param {object} content
 * @returns {Promise<string | null>}
 */
export async function request(pipeline, action, content) {
  try {
    const answer = await fetch(`admin/pipelines/${encodeURIComponent(pipeline)}/${action}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(content),
      signal: AbortSignal.timeout(90_000),
    });
    if (answer.ok) return null;
    /** @type {{ errors?: { message: string, advice: string }[], error?: string }} */
    const body = await answer.json();
    const errors = body.errors?.map(({ message, advice }) => `${message} ${advice}`) ?? [];
    return errors.length > 0 ? errors.join(' ') : (body.error ?? `The daemon answers ${answer.status}.`);
  } catch {
    return 'The daemon did not answer; whether it was done is not known.';
  }
}
