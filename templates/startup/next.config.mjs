/** @type {import('next').NextConfig} */
const config = {
  // One directory with all that the server needs: what the Dockerfile copies.
  output: process.env.STANDALONE ? 'standalone' : undefined,
  poweredByHeader: false,
  reactStrictMode: true,
};

export default config;
