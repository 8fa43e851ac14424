// Reserves stock with Medusa's inventory module; asked over standard input, as answering.py says.
//
// `locked` takes Medusa's own Postgres lock around the module, as its workflow of a checkout does; `shipped` calls the
// module alone.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// Libraries print what they like; messages have a stream of their own.
const tell = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

// The packages are in the folder that this runs in, not beside this file.
const require = createRequire(`${process.cwd()}/`);
const { MedusaApp, MedusaAppMigrateUp } = require("@medusajs/framework/modules-sdk");
const { ContainerRegistrationKeys, Modules, ModulesSdkUtils } = require("@medusajs/framework/utils");

const { HOLDFAST_PEER_URL: clientUrl, HOLDFAST_PEER_HOST: host, HOLDFAST_PEER_POOL: pool } = process.env;
const LOCATION = "bench";
const items = new Map();
let inventory, locking;

async function begin() {
  // Its migrations read only a host of TCP from the URL; the socket's folder has to be said once more.
  const driverOptions = { connection: { host, ssl: false } };
  const database = { clientUrl, driverOptions, pool: { min: 1, max: Number(pool) } };
  const options = {
    modulesConfig: {
      [Modules.LOCKING]: {
        resolve: require.resolve("@medusajs/locking"),
        options: {
          providers: [
            { resolve: require.resolve("@medusajs/locking-postgres"), id: "locking-postgres", is_default: true },
          ],
        },
      },
      [Modules.INVENTORY]: { resolve: require.resolve("@medusajs/inventory") },
    },
    sharedResourcesConfig: { database },
    injectedDependencies: { [ContainerRegistrationKeys.PG_CONNECTION]: ModulesSdkUtils.createPgConnection(database) },
  };
  await MedusaAppMigrateUp({ ...options });
  const app = await MedusaApp(options);
  inventory = app.modules[Modules.INVENTORY];
  locking = app.modules[Modules.LOCKING];
}

async function stock({ skus, quantity }) {
  const made = await inventory.createInventoryItems(skus.map((sku) => ({ sku })));
  for (const { id, sku } of made) items.set(sku, id);
  await inventory.createInventoryLevels(
    made.map(({ id }) => ({ inventory_item_id: id, location_id: LOCATION, stocked_quantity: quantity })),
  );
}

async function reserve({ how, skus, callers, seconds, attempts }) {
  const failures = {};
  let accepted = 0;
  let refused = 0;
  const begin = performance.now();
  const until = begin + seconds * 1000;

  async function one(sku) {
    const inventory_item_id = items.get(sku);
    const hold = () => inventory.createReservationItems([{ inventory_item_id, location_id: LOCATION, quantity: 1 }]);
    await (how === "locked" ? locking.execute([inventory_item_id], hold) : hold());
  }

  async function call(caller) {
    for (let turn = 0; attempts ? turn < attempts : performance.now() < until; turn += 1) {
      try {
        await one(skus[(caller + turn * callers) % skus.length]);
        accepted += 1;
      } catch (failure) {
        if (failure.type === "not_allowed") refused += 1;
        else {
          const words = `${failure.name}: ${failure.message}`.split("\n")[0].slice(0, 120);
          failures[words] = (failures[words] ?? 0) + 1;
        }
      }
    }
  }

  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return { accepted, refused, failures, seconds: (performance.now() - begin) / 1000 };
}

const handlers = { begin, stock, reserve };
for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, ...message } = JSON.parse(line);
  const said = await handlers[what](message).catch((failure) => {
    console.error(failure);
    return { error: `${failure.name}: ${failure.message}`.slice(0, 300) };
  });
  tell(`${JSON.stringify(said ?? {})}\n`);
}
process.exit(0);
