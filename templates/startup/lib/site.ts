import content from '@/content/site.json';

/** Everything this site says about itself. Change the words in content/site.json. */
export const site = content;
