// Drives the REST part of the unmodified npm SDK in Node and prints what it got as one JSON object.
// Usage: node rest.cjs '{"application_id": 1, "auth_key": "…", "api_url": "…", "chat_domain": "…"}'
const { default: ConnectyCube } = require('connectycube');

const server = JSON.parse(process.argv[2]);
const got = {};
const expired = [];

ConnectyCube.init(
  { appId: server.application_id, authKey: server.auth_key },
  {
    debug: { mode: 0 },
    endpoints: { api: 'unused', api_url: server.api_url, chat: server.chat_domain },
    on: {
      sessionExpired: (handleResponse, retry) => {
        expired.push(true);
        ConnectyCube.createSession({ login: 'node-one', password: 'one' })
          .then(retry)
          .catch(handleResponse);
      },
    },
  },
);

const refusal = (promise) => promise.then(
  () => null,
  (error) => ({ code: error.code, errors: error.info && error.info.errors }),
);

async function run() {
  got.application = await ConnectyCube.createSession();
  const { user: one } = await ConnectyCube.users.signup({
    login: 'node-one', password: 'one', full_name: 'Node One', tag_list: ['red', 'green'], phone: '+12025550111',
    email: 'one@node.example', external_id: 'node-ext-1',
  });
  got.taken = await refusal(ConnectyCube.users.signup({ login: 'node-one', password: 'one' }));
  got.login = await ConnectyCube.login({ login: 'node-one', password: 'one' });
  got.session = await ConnectyCube.getSession();
  await ConnectyCube.logout();
  got.afterLogout = await ConnectyCube.getSession();
  got.updateByNobody = await refusal(ConnectyCube.users.update({ full_name: 'Nobody' }));
  got.wrongPassword = await refusal(ConnectyCube.login({ login: 'node-one', password: 'two' }));
  await ConnectyCube.destroySession();

  // Without a session the key alone authorises a sign-up.
  const { user: two } = await ConnectyCube.users.signup({ login: 'node-two', password: 'two', full_name: 'Node Two' });
  got.guest = await ConnectyCube.createSession({ guest: '1', full_name: 'Passer-by' });
  got.byEmail = await ConnectyCube.createSession({ email: 'one@node.example', password: 'one' });
  got.withoutPassword = await ConnectyCube.createSession({ login: 'node-one' });
  got.unknown = await ConnectyCube.createSession({ login: 'node-three', password: 'three' });
  got.provider = await refusal(ConnectyCube.createSession({ provider: 'facebook', keys: { token: 't' } }));
  got.one = await ConnectyCube.createSession({ login: 'node-one', password: 'one' });

  const ids = (page) => (page.items || page.users).map((item) => (item.user || item).id);
  const { users } = ConnectyCube;
  got.ids = [one.id, two.id];
  got.searches = {
    in: await users.getV2({ id: { in: [one.id, two.id] }, limit: 5, sort_desc: 'id' }).then(ids),
    equal: await users.getV2({ login: 'node-one' }).then(ids),
    startWith: await users.getV2({ full_name: { start_with: 'Node' }, login: { nin: ['node-two'] } }).then(ids),
    date: await users.getV2({ login: { in: ['node-one'] }, created_at: { gt: new Date(0), lt: new Date(4e12) } }).then(ids),
    tags: await users.getV2({ user_tags: { in: ['green', 'blue'] } }).then(ids),
    external: await users.getV2({ external_id: 'node-ext-1' }).then(ids),
    offset: await users.getV2({ id: { in: [one.id, two.id] }, offset: 1, limit: 1, sort_asc: 'login' }).then(ids),
  };
  got.page = await users.getV2({ phone: '+12025550111' });
  got.nothingToSearchBy = await refusal(users.getV2({ limit: 1 }));
  got.older = {
    id: (await users.get(one.id)).user.id,
    login: (await users.get({ login: 'node-one' })).user.id,
    email: (await users.get({ email: 'one@node.example' })).user.id,
    phone: (await users.get({ phone: '+12025550111' })).user.id,
    external: (await users.get({ external: 'node-ext-1' })).user.id,
    name: await users.get({ full_name: 'Node One', per_page: 5 }).then(ids),
    tags: await users.get({ tags: ['red', 'blue'] }).then(ids),
    filter: await users.get({
      filter: { field: 'id', param: 'in', value: [one.id, two.id] },
      order: { sort: 'desc', field: 'id' }, page: 1, per_page: 10,
    }).then(ids),
    filters: await users.get({
      filter: [{ field: 'login', param: 'eq', value: 'node-two' },
        { field: 'created_at', param: 'gt', value: '2020-01-01T00:00:00Z' }],
    }).then(ids),
  };
  got.missing = await refusal(users.get({ login: 'nobody' }));
  got.updated = (await users.update({ full_name: 'Númber One', tag_list: ['blue'], custom_data: '{"a":1}' })).user;
  got.password = (await users.update({ password: 'new', old_password: 'one' })).user.id;
  await users.update({ password: 'one', old_password: 'new' });
  got.online = await users.listOnline({ limit: 10 });
  got.onlineCount = await users.getOnlineCount();
  got.reset = await refusal(users.resetPassword('one@node.example'));
  got.rejected = await users.proxy.ajax({
    type: 'POST', url: `${server.api_url}/calls/reject.json`,
    data: { sessionID: '3d3d5a26-5a5b-4f6e-9d49-ef4bd0d4a3b1', recipientId: two.id, platform: 'web', userInfo: { busy: 'true' } },
  });
  got.dialogs = await refusal(ConnectyCube.chat.dialog.list());

  // A token that has ended: the hook makes another session and the request is sent again.
  ConnectyCube.setSession({ ...got.one, token: '0123456789abcdef0123456789abcdef01234567' });
  got.afterExpiry = await users.getV2({ login: 'node-one' }).then(ids);
  got.expired = expired.length;

  await ConnectyCube.createSession({ login: 'node-three', password: 'three' });
  got.deleted = await users.delete();
  got.gone = await refusal(users.getV2({ login: 'node-one' }).then(ids));
  got.expiredAgain = expired.length;
  got.destroyed = await ConnectyCube.destroySession();
}

run().then(
  () => { console.log(JSON.stringify(got)); process.exit(0); },
  (error) => { console.error(error, JSON.stringify(error), JSON.stringify(got)); process.exit(1); },
);
