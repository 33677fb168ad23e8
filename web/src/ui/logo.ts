import {h} from './dom';
import source from '../icon.svg';

export const logo = (): HTMLElement => h('img', {class: 'logo', src: source, alt: '', width: '40', height: '40'});
