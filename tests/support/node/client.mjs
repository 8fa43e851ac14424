// A client that is given an address and learns the rest by reflection:
//   client.mjs ADDRESS list [SERVICE] | describe SYMBOL | call SERVICE/METHOD
// `call` reads {"metadata": {…}, "messages": […], "options": {…}} and prints each answer as a line of JSON; a refusal
// is one with its code, message and details, and exit code 1. With TLS_FOLDER and TLS_CA set it speaks mTLS.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

// The packages are in the folder that this runs in, not beside this file.
const require = createRequire(`${process.cwd()}/`);
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
// What the loader itself stands on.
const requireOfLoader = createRequire(require.resolve("@grpc/proto-loader"));
const protobuf = requireOfLoader("protobufjs");
const { FileDescriptorProto, FileDescriptorSet } = requireOfLoader("protobufjs/ext/descriptor");

// Fields are called as in JSON.
function rename(types) {
  for (const type of types ?? []) {
    for (const field of type.field ?? []) field.name = field.jsonName || field.name;
    rename(type.nestedType);
  }
}

const FORM = { longs: String, enums: String, bytes: String, defaults: false, oneofs: false };
const [address, command, name = ""] = process.argv.slice(2);
const { TLS_FOLDER: tls, TLS_CA: authorities } = process.env;
const credentials = tls
  ? grpc.credentials.createSsl(...[authorities, `${tls}/tls.key`, `${tls}/tls.crt`].map((file) => readFileSync(file)))
  : grpc.credentials.createInsecure();
const tell = (value) => console.log(JSON.stringify(value));

const own = loader.loadSync(fileURLToPath(new URL("reflection.proto", import.meta.url)));
const { ServerReflection } = grpc.loadPackageDefinition(own).grpc.reflection.v1;

async function reflect(question) {
  const stream = new ServerReflection(address, credentials).ServerReflectionInfo();
  const answer = new Promise((resolve, reject) => stream.once("data", resolve).once("error", reject));
  stream.write(question);
  stream.end();
  const reply = await answer;
  if (reply.errorResponse) throw new Error(reply.errorResponse.errorMessage);
  return reply;
}

async function contract(...symbols) {
  const files = new Map();
  for (const symbol of symbols) {
    const { fileDescriptorResponse } = await reflect({ fileContainingSymbol: symbol });
    for (const bytes of fileDescriptorResponse.fileDescriptorProto) {
      const file = FileDescriptorProto.decode(bytes);
      rename(file.messageType);
      files.set(file.name, file);
    }
  }
  return FileDescriptorSet.create({ file: [...files.values()] });
}

async function service(symbol) {
  const set = await contract(symbol);
  const definition = loader.loadFileDescriptorSetFromBuffer(FileDescriptorSet.encode(set).finish(), FORM);
  return definition[symbol];
}

async function describe(symbol) {
  const { file } = await contract(symbol);
  for (const each of file) {
    const kinds = { service: [6, "method", 2], messageType: [4, "field", 2], enumType: [5, "value", 2] };
    for (const [kind, [number, members, inner]] of Object.entries(kinds)) {
      for (const [index, thing] of (each[kind] ?? []).entries()) {
        if (`${each.package}.${thing.name}` !== symbol) continue;
        const comment = (...path) =>
          each.sourceCodeInfo?.location.find((at) => at.path.join() === path.join())?.leadingComments ?? "";
        tell({ symbol, comment: comment(number, index) });
        for (const [place, member] of thing[members].entries())
          tell({ name: member.name, comment: comment(number, index, inner, place) });
      }
    }
  }
}

async function details(error) {
  const [packed] = error.metadata.get("grpc-status-details-bin");
  if (!packed) return [];
  const status = protobuf.Root.fromDescriptor(await contract("google.rpc.Status"));
  const found = status.lookupType("google.rpc.Status").decode(packed).details;
  return Promise.all(
    found.map(async ({ typeUrl, value }) => {
      const type = typeUrl.split("/").pop();
      const root = protobuf.Root.fromDescriptor(await contract(type));
      const kind = root.lookupType(type);
      return { type, ...kind.toObject(kind.decode(value), FORM) };
    }),
  );
}

async function call(path) {
  const { metadata = {}, messages = [], options = {} } = JSON.parse(readFileSync(0, "utf8"));
  const { requestSerialize, responseDeserialize } = Object.values(await service(path.split("/")[0])).find((each) =>
    each.path.endsWith(`/${path}`),
  );
  const sent = new grpc.Metadata();
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
  // Any kind of call is a stream of messages each way.
  const client = new grpc.Client(address, credentials, options);
  const stream = client.makeBidiStreamRequest(`/${path}`, requestSerialize, responseDeserialize, sent);
  stream.on("data", tell);
  const ended = new Promise((resolve, reject) => stream.once("end", resolve).once("error", reject));
  for (const message of messages) stream.write(message);
  stream.end();
  try {
    await ended;
  } catch (error) {
    tell({ code: grpc.status[error.code], message: error.details, details: await details(error) });
    process.exitCode = 1;
  }
}

async function list(of) {
  if (of) for (const method of Object.values(await service(of))) tell(method.path);
  else for (const each of (await reflect({ listServices: "" })).listServicesResponse.service) tell(each.name);
}

await { list, describe, call }[command](name);
process.exit();
