// Drives the push part of the unmodified npm SDK in Node and prints what it got as one JSON object.
// Usage: node push.cjs '{"application_id": 1, …, "endpoint": "https://…", "auth": "…", "p256dh": "…"}'
const { default: ConnectyCube } = require('connectycube');

const server = JSON.parse(process.argv[2]);
const got = {};

ConnectyCube.init(
  { appId: server.application_id, authKey: server.auth_key },
  {
    debug: { mode: 0 },
    endpoints: { api: 'unused', api_url: server.api_url, chat: server.chat_domain },
  },
);

const refusal = (promise) => promise.then(
  () => null,
  (error) => ({ code: error.code, errors: error.info && error.info.errors }),
);
const { pushnotifications } = ConnectyCube;

const phone = (udid, token) => ({
  notification_channel: 'gcm',
  device: { platform: 'android', udid },
  push_token: { environment: 'development', client_identification_sequence: token, bundle_identifier: 'org.example' },
});

const tab = {
  notification_channel: 'web',
  device: { platform: 'web', udid: 'tab' },
  push_token: {
    environment: 'production',
    web_endpoint: server.endpoint,
    web_auth: server.auth,
    web_p256dh: server.p256dh,
  },
};

async function run() {
  const me = await ConnectyCube.createSession({ login: 'node-one', password: 'one' });
  got.id = me.user.id;
  got.phone = await pushnotifications.subscriptions.create(phone('u1', 'node-token-1'));
  got.replaced = await pushnotifications.subscriptions.create(phone('u1', 'node-token-2'));
  got.browser = await pushnotifications.subscriptions.create(tab);
  got.list = await pushnotifications.subscriptions.list();
  const { web_auth, ...keyless } = tab.push_token;
  got.keyless = await refusal(pushnotifications.subscriptions.create({ ...tab, push_token: keyless }));

  // As the web sample rings: ids as a list, no environment.
  const call = {
    message: 'Incoming call', ios_voip: 1, handle: 'One', initiatorId: me.user.id, opponentsIds: String(me.user.id),
    uuid: '5f0b8ab4-3a0c-4a64-8ff1-2f6c5be0a111', callType: 'video',
  };
  got.ring = await pushnotifications.events.create({
    notification_type: 'push',
    user: { ids: [me.user.id] },
    message: pushnotifications.base64Encode(JSON.stringify(call)),
  });
  // As the documents have it: ids as text, an environment.
  got.event = await pushnotifications.events.create({
    notification_type: 'push',
    environment: 'development',
    event_type: 'one_shot',
    user: { ids: `${me.user.id}` },
    message: pushnotifications.base64Encode(JSON.stringify({ message: 'Žluť 🎉', chat: 7 })),
  });
  got.unreadable = await refusal(
    pushnotifications.events.create({ notification_type: 'push', user: { ids: [1] }, message: '%%%' }),
  );
  const [{ subscription }] = got.browser;
  got.deleted = await pushnotifications.subscriptions.delete(subscription.id);
  got.deletedAgain = await refusal(pushnotifications.subscriptions.delete(subscription.id));
  got.left = await pushnotifications.subscriptions.list();
}

run().then(
  () => { console.log(JSON.stringify(got)); process.exit(0); },
  (error) => { console.error('failed', error); process.exit(1); },
);
