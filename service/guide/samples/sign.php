<?php // sign.php: php sign.php

function base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}

function sign_code(array $user): string
{
    $now = time();
    $claims = ['user' => $user, 'iat' => $now, 'exp' => $now + 300, 'jti' => bin2hex(random_bytes(16))];
    $header = ['alg' => 'HS256', 'typ' => 'JWT'];
    $signed = base64url(json_encode($header)) . '.' . base64url(json_encode($claims, JSON_THROW_ON_ERROR));
    return $signed . '.' . base64url(hash_hmac('sha256', $signed, getenv('DOORCODE_JWT_SECRET'), true));
}

echo sign_code(['id' => 'crm-42', 'email' => 'ada@example.com', 'name' => 'Ada']), "\n";
