// biome-ignore lint/suspicious/noRedundantUseStrict: in the page it is a classic script, not a module
'use strict';
// Everything from the results goes into the page as text, never as markup.
const results = JSON.parse(document.getElementById('results').textContent);
const order = [
  'error',
  'fail',
  'known_failing',
  'pass-nonstrict',
  'realtime',
  'pass',
  'not_applicable',
];
const $ = (id) => document.getElementById(id);

function make(tag, text, className, ...children) {
  const node = document.createElement(tag);
  if (text !== null && text !== undefined) node.textContent = String(text);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function grade(items) {
  const found = new Set(items.map((item) => item.grade));
  return order.find((each) => found.has(each)) || '';
}

// --- which cases belong to which cell ---

const cells = new Map();
for (const item of results.items) {
  for (const requirement of item.covers.length ? item.covers : ['other']) {
    const key = `${requirement} ${item.column}`;
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(item);
  }
}
const rows = [...results.requirements];
if ([...cells.keys()].some((key) => key.startsWith('other '))) {
  rows.push({ id: 'other', level: '', text: 'Cases that stand for no requirement.', page: '' });
}
const inCell = (requirement, column) => cells.get(`${requirement.id} ${column}`) || [];

// --- one case ---

function shownItem(item) {
  const box = make('section');
  box.append(make('h3', `${item.name} · ${item.verdict}`, item.grade));
  box.append(make('p', item.title));
  box.append(
    make('p', `${item.suite} · ${item.level} · ${item.assertions} assertions · ${item.seconds} s`),
  );
  if (item.failure) box.append(make('pre', item.failure, 'fail'));
  const steps = make('ol');
  for (const step of item.steps) {
    const row = make('li', `${step.ok ? '✓' : '✗'} ${step.name}`, step.ok ? 'pass' : 'fail');
    if (step.note) row.append(make('pre', step.note));
    steps.append(row);
  }
  box.append(steps);
  if (item.wire.length) {
    const log = make('pre');
    for (const line of item.wire) {
      const arrow = line.from === 'client' ? '→' : '←';
      log.append(make('span', `${line.at} ms ${line.on} ${arrow} ${line.text}\n`, line.from));
    }
    box.append(
      make('details', null, '', make('summary', `${item.wire.length} lines of the wire`), log),
    );
  }
  return box;
}

function show(requirement, column) {
  const rank = (item) => order.indexOf(item.grade); // the worst first
  const items = [...inCell(requirement, column)].sort((a, b) => rank(a) - rank(b));
  $('detail').replaceChildren(
    make('h2', `${requirement.id} over ${column}`),
    make('p', requirement.text),
    ...items.map(shownItem),
  );
  $('detail').scrollIntoView({ block: 'start' });
}

// --- the table ---

function cell(requirement, column) {
  const items = inCell(requirement, column);
  const box = make('td', null, 'cell');
  if (!items.length) return box;
  const found = grade(items);
  const good = items.filter((item) => item.verdict === 'pass').length;
  const button = make('button', `${found} ${good}/${items.length}`, found);
  button.addEventListener('click', () => show(requirement, column));
  box.append(button);
  return box;
}

function matches(requirement) {
  const words = $('text').value.toLowerCase().split(/\s+/).filter(Boolean);
  const items = results.columns.flatMap((column) => inCell(requirement, column));
  const haystack = [
    requirement.id,
    requirement.text,
    ...items.map((item) => `${item.name} ${item.title}`),
  ];
  const all = haystack.join(' ').toLowerCase();
  if (!words.every((word) => all.includes(word))) return false;
  if ($('level').value && requirement.level !== $('level').value) return false;
  const wanted = $('grade').value;
  return (
    !wanted || (wanted === 'untested' ? !items.length : items.some((item) => item.grade === wanted))
  );
}

function draw() {
  const shown = rows.filter(matches);
  $('rows').replaceChildren(
    ...shown.map((requirement) =>
      make(
        'tr',
        null,
        '',
        make('td', null, '', make('code', requirement.id)),
        make('td', requirement.level),
        make('td', requirement.text),
        ...results.columns.map((column) => cell(requirement, column)),
      ),
    ),
  );
  $('count').textContent = `${shown.length} of ${rows.length} requirements`;
}

for (const column of results.columns) $('head').append(make('th', column));
for (const id of ['text', 'level', 'grade']) $(id).addEventListener('input', draw);
draw();
