// The script of the console. It shows the list of sessions and, on the page of a session, its conversation, as the stream of
// events says. What agents and people have said becomes text, never HTML: the policy of the page forbids the rest.

const $ = (id) => document.getElementById(id);
const main = $('main');
const session = main.dataset.session; // undefined: the page shows none
let title = document.title; // what it would be if there was nothing to say
const copyOf = (id) => $(id).content.firstElementChild.cloneNode(true);
const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');

// ---- The list of sessions

function ago(time) {
  const minutes = Math.floor((Date.now() - time) / 60000); // time is in whole minutes
  if (minutes < 2) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h ago`;
  return `${Math.round(minutes / 60 / 24)} days ago`;
}

function showTimes() {
  for (const node of document.querySelectorAll('time[datetime]')) {
    const time = new Date(node.dateTime);
    setText(node, ago(time));
    node.title = time.toLocaleString();
  }
}

function showList(list) {
  const links = new Map(Array.from(document.querySelectorAll('#buckets a'), (a) => [a.dataset.id, a.parentNode]));
  const focused = $('buckets').contains(document.activeElement) ? document.activeElement : null;
  const sections = list.buckets.map((bucket) => {
    const section = copyOf('t-bucket');
    section.querySelector('h2').textContent = bucket.title;
    section.querySelector('ul').append(...bucket.sessions.map((item) => {
      const row = links.get(item.id) ?? copyOf('t-session');
      const link = row.firstElementChild;
      link.href = '/sessions/' + encodeURIComponent(item.id);
      link.dataset.id = item.id;
      if (item.id === session) {
        link.setAttribute('aria-current', 'page');
        setText($('label'), item.label);
        title = `${item.label} · Console`;
      }
      setText(link.querySelector('.label'), item.label);
      setText(link.querySelector('.state'), item.status);
      const time = link.querySelector('time');
      if (item.at && time) time.dateTime = item.at;
      return row;
    }));
    return section;
  });
  if (sections.length === 0) {
    const none = document.createElement('p');
    none.className = 'none';
    none.textContent = 'No sessions yet.';
    sections.push(none);
  }
  $('buckets').replaceChildren(...sections);
  focused?.focus({ preventScroll: true }); // what is moved loses it
  say($('list-problem'), list.problem);
  say($('more'), list.more ? `${list.more} older ones are not shown.` : '');
  showTimes();
  if (session) showState(); // its label may be another one
}

// say shows a text where there is one.
function say(node, text) {
  node.hidden = !text;
  setText(node, text ?? '');
}

// complain says what has not worked, or what somebody only wants to be known.
function complain(text, isBad = true) {
  say($('problem'), text);
  $('problem').classList.toggle('plain', !isBad);
}

// ---- The conversation

const talk = { messages: [], state: 'idle' };
let link = { state: 'connecting' };
let question = null;
let cut = false; // the console itself does not answer

// What was seen of an answer before the Hub came back without its beginning. The whole of it comes with its end.
let seenBefore = null;

function nodeOf(index) {
  const all = $('messages').children;
  while (all.length <= index) $('messages').append(copyOf('t-message'));
  return all[index];
}

const names = { user: 'You', assistant: 'Agent' };

function draw(index) {
  const message = talk.messages[index];
  const node = nodeOf(index);
  if (!message) return;
  node.className = `message ${message.role}`;
  node.classList.toggle('writing', message.role === 'assistant' && !message.done);
  const before = talk.messages[index - 1];
  node.classList.toggle('goes-on', before?.role === message.role);
  setText(node.querySelector('.who'), names[message.role] ?? message.role);
  const thinking = node.querySelector('.thinking');
  thinking.hidden = !message.thinking;
  setText(thinking.querySelector('.text'), message.thinking ?? '');
  setText(node.querySelector('.said'), textOf(index));
  drawTools(node.querySelector('.tools'), message.toolCalls ?? []);
  say(node.querySelector('.ended'), ending(message));
}

// textOf is what is shown of a message: with what was seen before, if the Hub has forgotten it for now.
function textOf(index) {
  const message = talk.messages[index];
  if (seenBefore?.index !== index || message.done) return message.text;
  return message.text.startsWith(seenBefore.text) ? message.text : `${seenBefore.text} … ${message.text}`;
}

function ending(message) {
  if (message.stopReason === 'aborted') return 'Stopped.';
  if (message.stopReason === 'length') return 'It ends here because it became too long.';
  if (message.stopReason === 'error' || message.errorMessage) return `The model failed. ${message.errorMessage ?? ''}`;
  return '';
}

// linesOf shows the arguments of a tool, a line each, and a text as it is.
function linesOf(args) {
  if (!args || typeof args !== 'object' || Array.isArray(args)) return args === undefined ? '' : JSON.stringify(args);
  return Object.entries(args).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
    return `${name}: ${text.includes('\n') ? '\n' : ''}${text}`;
  }).join('\n');
}

function brief(args) {
  const first = args && typeof args === 'object' ? Object.values(args)[0] : undefined;
  const text = typeof first === 'string' ? first : first === undefined ? '' : JSON.stringify(first);
  return text.length > 80 ? text.slice(0, 80) + '…' : text;
}

function drawTools(parent, calls) {
  while (parent.children.length > calls.length) parent.lastChild.remove();
  calls.forEach((call, i) => {
    if (!parent.children[i]) parent.append(copyOf('t-tool'));
    const node = parent.children[i];
    node.dataset.state = call.isError ? 'failed' : call.done ? 'done' : 'running';
    setText(node.querySelector('.mark'), { failed: 'failed', done: 'done', running: 'running' }[node.dataset.state]);
    setText(node.querySelector('.name'), call.name);
    setText(node.querySelector('.brief'), brief(call.args));
    say(node.querySelector('.args'), linesOf(call.args));
    say(node.querySelector('.result'), call.result);
  });
}

function append(index, part, delta) {
  const message = talk.messages[index];
  message[part] = (message[part] ?? '') + delta;
  const node = nodeOf(index);
  const text = part === 'text' ? node.querySelector('.said') : node.querySelector('.thinking .text');
  if (seenBefore?.index === index || !text.firstChild) draw(index);
  else text.firstChild.appendData(delta);
}

// resize drops messages that are no more. One that the agent was writing when the Hub went away stays until it has come back.
function resize(count) {
  talk.messages.length = count;
  const keep = seenBefore ? Math.max(count, seenBefore.index + 1) : count;
  while ($('messages').children.length > keep) $('messages').lastChild.remove();
}

function change(c) {
  const atEnd = isAtEnd();
  const before = talk.messages.length;
  resize(c.count);
  if (c.kind === 'replace') {
    talk.messages[c.index] = c.message;
    if (c.message.role === 'user' && c.index >= before) taken(c.message.text);
    if (seenBefore && (c.index > seenBefore.index || c.index === seenBefore.index && (c.message.done || c.message.role === 'user'))) forget();
    draw(c.index);
  } else if (c.kind === 'append') {
    append(c.index, c.part, c.delta);
  } else if (c.kind === 'state') {
    talk.state = c.state;
    if (c.state === 'idle') { // who is stopped drops what waits; what is taken all the same goes from the list
      for (const tag of document.querySelectorAll('#pending .tag')) setText(tag, 'not taken');
    }
  }
  showState();
  if (atEnd) toEnd();
}

function snapshot(all) {
  const atEnd = isAtEnd();
  const old = talk.messages;
  const last = old.length - 1;
  seenBefore = null;
  const now = all.conversation.messages;
  const isWorking = all.conversation.state === 'working' || all.conversation.state === 'retrying';
  if (last >= 0 && old[last].role === 'assistant' && !old[last].done && old[last].text) {
    const same = now[last];
    const lost = same ? same.role === 'assistant' && !same.done && !same.text.startsWith(old[last].text) : now.length === last && isWorking;
    if (lost) seenBefore = { index: last, text: $('messages').children[last].querySelector('.said').textContent };
  }
  resize(now.length);
  talk.messages = now;
  talk.state = all.conversation.state;
  link = all.link;
  question = all.question;
  now.forEach((message, i) => {
    if (message.role === 'user' && i >= old.length) taken(message.text);
    draw(i);
  });
  showState();
  if (atEnd) toEnd();
}

// forget drops what was seen before: the Hub has it again.
function forget() {
  const { index } = seenBefore;
  seenBefore = null;
  if (talk.messages[index]) draw(index);
}

const log = $('log');
const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 60;
const toEnd = () => { log.scrollTop = log.scrollHeight; };

// ---- What the page says of it

const isBusy = () => ['working', 'retrying', 'question'].includes(talk.state);

function stateOf() {
  if (cut) return ['away', 'The console does not answer. Trying again…'];
  switch (link.state) {
    case 'connecting': return ['connecting', 'Connecting…'];
    case 'reconnecting': return ['away', 'The Hub is away. Reconnecting…'];
    case 'away': return ['away', `${link.text} Trying again…`];
    case 'asleep': return ['asleep', 'Asleep'];
    case 'over': return ['over', 'Over'];
  }
  switch (talk.state) {
    case 'working': return ['working', 'Working'];
    case 'retrying': return ['working', 'The model failed. The agent tries again…'];
    case 'question': return ['question', 'Waiting for an answer'];
    case 'disconnected': return ['connecting', 'Connecting…'];
  }
  if (talk.messages.at(-1)?.role === 'assistant') return ['idle', 'Done'];
  return ['idle', 'Ready'];
}

function showState() {
  const [state, text] = stateOf();
  $('status').dataset.state = state;
  setText($('status'), text);
  document.title = ({ working: '… ', question: '? ', away: '! ' }[state] ?? '') + title;
  const busy = link.state === 'live' && isBusy();
  if (!busy && link.state === 'live' && talk.state === 'idle' && seenBefore) { // it has ended while the Hub was away
    seenBefore = null;
    resize(talk.messages.length);
    talk.messages.forEach((_, i) => draw(i));
  }
  $('messages').dataset.link = link.state;
  log.setAttribute('aria-busy', String(busy)); // an answer is read out when it is whole
  const readOnly = { asleep: 'This session is asleep. Wake it to go on.', over: 'This session is over. It can only be read.' }[link.state];
  $('rest').hidden = !readOnly;
  setText($('rest').firstElementChild, readOnly ?? '');
  $('say').hidden = Boolean(readOnly);
  $('wake').hidden = link.state !== 'asleep';
  $('archive').hidden = link.state === 'over';
  setText($('send'), busy ? 'Steer' : 'Send');
  $('send').value = busy ? 'steer' : 'prompt';
  setText($('hint'), busy ? 'steers it now; Queue waits until it is done' : 'sends it');
  $('queue').hidden = !busy;
  $('abort').hidden = !busy;
  showQuestion();
}

// ---- What the agent asks

function showQuestion() {
  const form = $('question');
  if (form.dataset.id === (question?.id ?? '')) return;
  const hadFocus = form.querySelector(':focus-visible'); // a tap shall not open a phone's keyboard
  form.dataset.id = question?.id ?? '';
  form.hidden = !question;
  const field = form.querySelector('.field');
  const buttons = form.querySelector('.buttons');
  field.replaceChildren();
  buttons.replaceChildren();
  if (!question) {
    if (hadFocus) $('text').focus();
    return;
  }
  form.querySelector('legend').textContent = question.title || 'The agent asks';
  say(form.querySelector('.more'), question.message);
  const button = (text, value, kind) => {
    const node = document.createElement('button');
    node.textContent = text;
    node.value = value;
    node.className = kind ?? '';
    buttons.append(node);
    return node;
  };
  if (question.method === 'confirm') {
    button('Yes', 'yes', 'primary');
    button('No', 'no');
  } else if (question.method === 'select') {
    for (const option of question.options ?? []) button(option, option, 'option');
  } else if (question.method === 'input' || question.method === 'editor') {
    const input = document.createElement(question.method === 'input' ? 'input' : 'textarea');
    input.dir = 'auto';
    input.name = 'text';
    input.setAttribute('aria-label', question.title || 'Answer');
    input.placeholder = question.placeholder;
    input.value = question.prefill;
    field.append(input);
    button('Answer', '', 'primary');
  }
  button('No answer', '', 'quiet').dataset.none = 'yes';
}

if (session) {
  $('question').addEventListener('submit', (event) => {
    event.preventDefault();
    const by = event.submitter ?? $('question').querySelector('button');
    const input = $('question').querySelector('[name=text]');
    send('answer', { question: question.id, text: input ? input.value : by.value, none: by.dataset.none ?? '' }, by);
  });
}

// ---- What the user does

// send asks the console for something, and says so if it does not work. It reports whether it has.
async function send(action, fields, button) {
  if (button?.getAttribute('aria-disabled') === 'true') return false;
  button?.setAttribute('aria-disabled', 'true');
  complain('');
  try {
    const answer = await fetch(`/sessions/${encodeURIComponent(session)}/${action}`, { method: 'POST', body: new URLSearchParams(fields) });
    if (answer.ok) return true;
    const text = await answer.text();
    let problem = text;
    try { problem = JSON.parse(text).error; } catch { /* it is no JSON */ }
    complain(problem || `It did not work (${answer.status}).`);
  } catch {
    complain('The console does not answer. Does it still run?');
  } finally {
    button?.removeAttribute('aria-disabled');
  }
  return false;
}

// A message that is sent again has the key it had, so that the agent is told once.
let order = { text: '', key: '' };

async function speak(event) {
  event.preventDefault();
  const box = $('text');
  const typed = box.value;
  const text = typed.trim();
  if (!text) {
    box.focus();
    return;
  }
  const by = event.submitter ?? $('send');
  if (order.text !== text) order = { text, key: newKey() };
  const wasBusy = isBusy();
  const row = wait(text, wasBusy ? (by.value === 'steer' ? 'steers next' : 'queued') : 'sent');
  if (await send('say', { text, how: by.value, key: order.key }, by)) {
    order = { text: '', key: '' };
    if (box.value.startsWith(typed)) box.value = box.value.slice(typed.length).trimStart(); // who types on keeps that
  } else {
    row.remove();
  }
  box.focus();
}

// wait shows what the agent has not taken yet.
function wait(text, how) {
  const row = document.createElement('li');
  const tag = document.createElement('span');
  tag.className = 'tag';
  tag.textContent = how;
  const said = document.createElement('span');
  said.dir = 'auto';
  said.textContent = text;
  row.append(tag, said);
  row.dataset.text = text;
  $('pending').append(row);
  return row;
}

function taken(text) {
  Array.from($('pending').children).find((row) => row.dataset.text === text.trim())?.remove();
}

function prepare() {
  $('say').addEventListener('submit', speak);
  $('abort').addEventListener('click', (event) => send('abort', {}, event.currentTarget));
  $('wake').addEventListener('click', (event) => send('wake', {}, event.currentTarget));
  $('archive').addEventListener('click', () => $('sure').showModal());
  $('sure').addEventListener('close', () => {
    if ($('sure').returnValue === 'yes') send('archive', {}, $('archive'));
    $('sure').returnValue = '';
  });
  $('newest').addEventListener('click', () => { toEnd(); $('text').focus(); });
  log.addEventListener('scroll', () => { $('newest').hidden = isAtEnd(); });
  new ResizeObserver(() => { if ($('newest').hidden) toEnd(); }).observe(log);
  showState();
}

// Ctrl-Enter, on a Mac Command-Enter, sends what is typed. On a button it presses that one.
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.isComposing && event.target.form) {
    event.preventDefault();
    if (event.target.matches('button')) event.target.click();
    else event.target.form.requestSubmit();
  }
});
if (/Mac|iPhone|iPad/.test(navigator.platform)) {
  for (const key of document.querySelectorAll('.hint kbd:first-child')) key.textContent = '⌘';
}

// ---- The stream of events

let stream = null;
let seen = ''; // the last id, for a stream that begins anew

function listen() {
  if (stream) return;
  const query = new URLSearchParams();
  if (session) query.set('session', session);
  if (seen) query.set('seen', seen);
  stream = new EventSource(`/events?${query}`);
  const on = (name, take) => stream.addEventListener(name, (event) => {
    if (name !== 'sessions') seen = event.lastEventId;
    take(JSON.parse(event.data));
  });
  on('sessions', showList);
  stream.addEventListener('open', () => setCut(false));
  stream.addEventListener('error', () => {
    setCut(true);
    if (stream?.readyState === EventSource.CLOSED) { // it does not try again by itself
      hangUp();
      setTimeout(listen, 2000);
    }
  });
  if (!session) return;
  on('snapshot', snapshot);
  on('change', change);
  on('link', (l) => { link = l; showState(); });
  on('question', (q) => { question = q; showState(); });
  on('notice', (n) => complain(n.text, n.bad));
}

function setCut(is) {
  cut = is;
  if (session) showState();
}

function hangUp() {
  stream?.close();
  stream = null;
}

// A page that nobody looks at hangs up after a while: a browser has few connections to one server for all its pages.
let hidden = 0;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hidden);
  if (document.visibilityState === 'hidden') hidden = setTimeout(hangUp, 5 * 60000);
  else listen();
});
addEventListener('pagehide', hangUp);
addEventListener('pageshow', listen);

if (session) prepare();
else if (matchMedia('(min-width: 761px)').matches) $('task')?.focus(); // on a phone that would hide the list behind a keyboard
showTimes();
setInterval(showTimes, 30000);
listen();
