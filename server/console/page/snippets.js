// The same event as a command or a program, to be copied.
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function compact(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

export function curl(address, path, text) {
  return `curl -i http://${address}${path} -H 'content-type: application/json' \\\n  -d ${quoted(compact(text))}`;
}

export function python(address, path, text) {
  return `import json, urllib.request

event = json.loads(${JSON.stringify(compact(text))})
request = urllib.request.Request(
    ${JSON.stringify(`http://${address}${path}`)},
    json.dumps(event).encode(),
    {"Content-Type": "application/json"},
)
print(urllib.request.urlopen(request).status)`;
}

export function javascript(address, path, text) {
  return `const answer = await fetch(${JSON.stringify(`http://${address}${path}`)}, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(${compact(text)}),
});
console.log(answer.status);`;
}

export function test(summary, text) {
  let example = {};
  try {
    const { meta, ...rest } = JSON.parse(text);
    example = rest;
  } catch { /* The event is no JSON: the test names its facts alone. */ }
  const where = [`verdict:${summary.verdict}`, summary.stream && `stream:${JSON.stringify(summary.stream)}`].filter(Boolean).join(" ");
  return `import json


def test_the_event_is_sent(penstock_console):
    # Let your program send the event here.
    penstock_console.expect(
        where=${JSON.stringify(where)},
        example=json.loads(${JSON.stringify(JSON.stringify(example))}),
    )`;
}
