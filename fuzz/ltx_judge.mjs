// What the JavaScript SDK's own parser makes of frames: one JSON string in, one JSON object out per line.
// The probe after each frame shows whether the parser is still in step.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import readline from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const { default: Parser } = await import(
  pathToFileURL(require.resolve("@xmpp/websocket/lib/FramedParser.js"))
);

for await (const line of readline.createInterface({ input: process.stdin })) {
  const parser = new Parser();
  const elements = [];
  let error = null;
  for (const event of ["element", "start", "end"]) parser.on(event, (each) => elements.push(each));
  parser.on("error", (each) => (error = String(each)));
  try {
    parser.write(JSON.parse(line));
    parser.write("<probe/>");
  } catch (each) {
    error = String(each);
  }
  const [first] = elements;
  const copied = ["sent", "forwarded", "message"].reduce((each, name) => each?.getChild(name), first);
  console.log(
    JSON.stringify({
      error,
      names: elements.map((each) => each.getName()),
      from: first?.attrs.from,
      carbon: Boolean(copied),
    }),
  );
}
