const imClient = new IMClient({ appId: 'YOUR_APP_ID', userToken: 'USER_TOKEN' });
imClient.init();
imClient.sendMessage({ to: 'user123', content: 'Hello, World!' });
imClient.onMessage((message) => { console.log('New Message:', message); });
imClient.sendImage({ to: 'user123', file: imageFile });
imClient.startVideoCall({ to: 'user123' });
