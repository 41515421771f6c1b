// Everything that node-postgres can do with a connection; says "done" at the end.
const assert = require("node:assert");
const { pipeline } = require("node:stream/promises");
const { Readable } = require("node:stream");
const { Client } = require("pg");
const copy = require("pg-copy-streams");

async function main() {
  const config = {
    host: process.env.PGHOST,
    port: Number(process.env.PGPORT),
    user: process.env.PGUSER,
    password: process.env.PGPASSWORD,
    database: "any",
  };
  const client = new Client(config);
  await client.connect();

  assert.equal((await client.query("select 1 as one")).rows[0].one, 1);
  assert.equal((await client.query("select $1::int + 1 as two", [1])).rows[0].two, 2);
  for (let i = 0; i < 3; i++) {
    const named = { name: "named", text: "select $1::text as it", values: [String(i)] };
    assert.equal((await client.query(named)).rows[0].it, String(i));
  }
  await assert.rejects(client.query("select 1/0"), { code: "22012" });

  await client.query("begin");
  await client.query("create temp table t (x int)");
  await client.query("commit");
  const into = client.query(copy.from("copy t from stdin"));
  await pipeline(Readable.from(["1\n", "2\n", "3\n"]), into);
  assert.equal((await client.query("select sum(x)::int as sum from t")).rows[0].sum, 6);
  let text = "";
  for await (const piece of client.query(copy.to("copy t to stdout"))) text += piece;
  assert.equal(text, "1\n2\n3\n");

  const heard = new Promise((resolve) => client.once("notification", resolve));
  await client.query("listen news");
  await client.query("notify news, 'hello'");
  assert.equal((await heard).payload, "hello");

  const large = await client.query("select repeat('x', 1000) from generate_series(1, 10000)");
  assert.equal(large.rows.length, 10000);

  const sleep = client.query("select pg_sleep(60)");
  setTimeout(() => {
    const other = new Client(config);
    other.connection.on("error", () => {});
    other.cancel(client, client.activeQuery ?? client._activeQuery);
  }, 200);
  await assert.rejects(sleep, { code: "57014" });

  assert.equal((await client.query("select 3 as three")).rows[0].three, 3);
  await client.end();
  console.log("done");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
