// The English texts that the service worker needs as well: it is loaded for every push, so it has no others.
export const ringEn = {
  app: 'Ringmesh',
  heading: (name: string) => `${name} is calling`,
  kind: {audio: 'Audio call', video: 'Video call'},
  accept: 'Accept',
  decline: 'Decline',
  missed: (name: string) => `You missed a call from ${name}.`,
};
